# SPDX-License-Identifier: Apache-2.0
"""Small bundles of the tests' own, and a machine on which there are no others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

MakeBundle = Callable[..., Path]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty data and cache folders, no checkout, no variable; work goes on elsewhere."""
    monkeypatch.delenv("PRANET_MONAI_BUNDLES", raising=False)
    monkeypatch.setattr("pranet_monai.bundle_store.places.checkout_folder", lambda: None)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, **_: tmp_path / "data" / name)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, **_: tmp_path / "cache" / name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


@pytest.fixture
def make_bundle(machine: Path) -> MakeBundle:
    """Writes ``<parent>/<name>`` with metadata, and weights with their hash unless told otherwise."""

    def make(parent: str, name: str, weights: bool = True, **metadata: object) -> Path:
        folder = machine / parent / name
        files = {"configs/inference.json": "{}", "LICENSE": "free"}
        files["configs/metadata.json"] = json.dumps({"version": "0.1.0", **metadata})
        if weights:
            digest = hashlib.sha256(b"tensors").hexdigest()
            files["models/model.pt"] = "tensors"
            files["large_files.yml"] = (
                f"large_files:\n- path: models/model.pt\n  hash_val: {digest}\n  hash_type: sha256\n"
            )
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    return make
