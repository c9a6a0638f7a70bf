# SPDX-License-Identifier: Apache-2.0
"""The folder that MONAI Label starts from; tests/e2e starts it."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
from pranet_monai.__main__ import main
from pranet_monai.bundle_store import all_bundles

from tests.bundles.conftest import SMALLEST, is_for_images

FOR_IMAGES = [bundle.short_name for bundle in all_bundles() if is_for_images(bundle.folder) and bundle.weights]


def test_an_app_holds_its_bundles_and_says_how_to_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = tmp_path / "heart"
    assert main(["label-app", str(app), "--bundle", str(SMALLEST)]) == 0
    said = capsys.readouterr().out
    assert f"    --app {app} --studies STUDIES --host 127.0.0.1\n" in said
    assert "every network of this machine" in said and "no password" in said

    copy = app / "model" / SMALLEST.name
    assert (copy / "models" / "model.pt").read_bytes() == (SMALLEST / "models" / "model.pt").read_bytes()
    # what MONAI Label looks for: a class of main.py whose base is called MONAILabelApp
    (imported,) = [node for node in ast.parse((app / "main.py").read_text()).body if isinstance(node, ast.ImportFrom)]
    assert (imported.module, imported.names[0].name) == ("pranet_monai.label.app", "LabelApp")


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be an app with weights that were trained in it."""
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["label-app", str(tmp_path), "--bundle", str(SMALLEST)]) == 2
    assert "found a file or folder there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", FOR_IMAGES)
def test_bundles_for_images_are_refused_before_anything_is_made(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["label-app", str(tmp_path / "app"), "--bundle", str(SMALLEST), name]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: bundle {name}: found one for RGB images") and said.count("\n") == 1
    assert not (tmp_path / "app").exists()


def test_a_bundle_that_is_named_twice_is_taken_once(tmp_path: Path) -> None:
    app = tmp_path / "app"
    assert main(["label-app", str(app), "--bundle", str(SMALLEST), SMALLEST.name, "acdc"]) == 0
    assert [path.name for path in (app / "model").iterdir()] == [SMALLEST.name] and (app / "main.py").is_file()


def test_two_bundles_of_one_name_are_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(SMALLEST, tmp_path / SMALLEST.name)
    assert main(["label-app", str(tmp_path / "app"), "--bundle", str(SMALLEST), str(other)]) == 2
    assert f"found two bundles called {SMALLEST.name}" in capsys.readouterr().err
    assert not (tmp_path / "app").exists()
