# SPDX-License-Identifier: Apache-2.0
"""What MONAI Label's clients may choose, and what a choice changes in a bundle's config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pranet_monai.apps.overrides import check_ids
from pranet_monai.label.options import OPTIONS, changes, shown

from tests.bundles.conftest import BUNDLES, is_for_images, read_json

CONFIG: dict[str, Any] = {"inferer": {"tta": []}, "roi_size": [512, 512]}
VOLUMES = [bundle for bundle in BUNDLES if not is_for_images(bundle)]


def test_options_are_there_where_the_config_has_them() -> None:
    assert shown(CONFIG) == {"mirrored_passes": False, "overlap": [0.25, 0.0, 0.5, 0.75]}
    assert shown({"inferer": {"tta": [[0]]}}) == {"mirrored_passes": True}
    with_runtime = shown({"runtime": "onnx", "precision": "bf16"})
    assert with_runtime["runtime"][0] == "onnx" and "torch" in with_runtime["runtime"]
    assert with_runtime["precision"] == ["bf16", "fp32"]


def test_choosing_what_is_there_changes_nothing() -> None:
    assert changes(CONFIG, {}) == {}
    assert changes(CONFIG, {"mirrored_passes": False, "overlap": 0.25}) == {}
    assert changes(CONFIG, shown(CONFIG)) == {}, "a client that sends back what it was offered"


def test_choices_reach_the_config() -> None:
    chosen = changes(CONFIG, {"mirrored_passes": True, "overlap": 0.5, "runtime": "onnx", "image": "a.nii.gz"})
    assert chosen == {"inferer#tta": [[0], [1], [0, 1]], "inferer#overlap": 0.5}
    assert changes({"inferer": {"tta": [[0]]}}, {"mirrored_passes": False}) == {"inferer#tta": []}
    assert changes({"runtime": "torch"}, {"runtime": "onnx"}) == {"runtime": "onnx"}


def test_each_view_of_several_is_mirrored() -> None:
    config = {"inferer": {"inferer": {"tta": []}, "views": ["axial"]}}
    assert changes(config, {"mirrored_passes": True}) == {"inferer#inferer#tta": [[0], [1], [0, 1]]}


@pytest.mark.parametrize("bundle", VOLUMES, ids=lambda folder: folder.name)
def test_every_bundle_for_volumes_takes_what_its_options_set(bundle: Path) -> None:
    file = bundle / "configs" / "inference.json"
    config = read_json(file)
    offered = [option for option in OPTIONS if option.is_in(config)]
    assert {"mirrored_passes"} <= {option.name for option in offered}
    check_ids({option.name: option.place(config) for option in offered}, [file])
