# SPDX-License-Identifier: Apache-2.0
"""Which bundles MONAI Label may serve, and with which weights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pranet_monai.bundle_store import Bundle
from pranet_monai.bundle_store.served import check_serves, served_bundles, weights_files, weights_line
from pranet_monai.errors import UsageError

from .conftest import MakeBundle


def for_kind(folder: Path, kind: str) -> Bundle:
    (folder / "configs" / "inference.json").write_text(f'{{"cases": {{"kind": "{kind}"}}}}')
    return Bundle(folder)


def test_the_last_training_counts(make_bundle: MakeBundle) -> None:
    bundle = for_kind(make_bundle("model", "a_segmentation"), "volume")
    assert weights_files(bundle) == ["model.pt"]
    assert weights_line(bundle, "model.pt") == "the bundle's own weights, version 0.1.0"

    trained = bundle.folder / "models" / "model_trained.pt"
    trained.write_text("tensors")
    os.utime(trained, (0, 0))
    assert weights_files(bundle) == ["model_trained.pt", "model.pt"]
    assert weights_line(bundle, "model_trained.pt").startswith("weights trained here, 19")


def test_images_are_refused_with_a_reason(make_bundle: MakeBundle) -> None:
    bundle = for_kind(make_bundle("model", "a_segmentation", short_name="a"), "image")
    with pytest.raises(UsageError, match="^bundle a: found one for RGB images; .* fix: pranet-monai segment"):
        check_serves(bundle)
    with pytest.raises(UsageError, match="RGB images"):
        served_bundles(bundle.folder.parents[1])


def test_without_weights_there_is_nothing_to_serve(make_bundle: MakeBundle) -> None:
    with pytest.raises(UsageError, match="no models/model.pt"):
        check_serves(for_kind(make_bundle("model", "a_segmentation", weights=False), "volume"))


def test_weights_that_are_not_the_published(make_bundle: MakeBundle) -> None:
    bundle = for_kind(make_bundle("model", "a_segmentation"), "volume")
    (bundle.folder / "models" / "model.pt").write_text("others")
    with pytest.raises(UsageError, match="found SHA-256"):
        check_serves(bundle)


def test_some_of_an_app(make_bundle: MakeBundle, machine: Path) -> None:
    for name in ("a", "b"):
        for_kind(make_bundle("model", f"{name}_segmentation", short_name=name), "volume")
    assert [bundle.short_name for bundle in served_bundles(machine)] == ["a", "b"]
    assert [bundle.short_name for bundle in served_bundles(machine, ["b_segmentation"])] == ["b"]
    assert [bundle.short_name for bundle in served_bundles(machine, ["a"])] == ["a"]
    with pytest.raises(UsageError, match="--conf models c: found no such bundle in .*; here are a, b"):
        served_bundles(machine, ["c"])
    with pytest.raises(UsageError, match="found no bundle; fix: make the app again"):
        served_bundles(machine / "empty")
