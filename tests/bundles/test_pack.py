# SPDX-License-Identifier: Apache-2.0
"""A packed bundle runs with the code inside it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from pranet_monai.apps.pack import pack_bundle

from .conftest import SMALLEST, copy_with_random_weights
from .test_run import rows_of


def test_packed_bundle_runs_on_its_own_code(labelled_volumes: Path, tmp_path: Path) -> None:
    bundle = copy_with_random_weights(SMALLEST, tmp_path / "made")
    with zipfile.ZipFile(pack_bundle(bundle, tmp_path)) as archive:
        archive.extractall(tmp_path / "elsewhere")
    folder = tmp_path / "elsewhere" / bundle.name
    with (folder / "pranet_monai" / "__init__.py").open("a", encoding="utf-8") as code:
        code.write("\nprint('code of', __file__)\n")  # the package may be installed as well: which one runs?
    run = [sys.executable, "-m", "monai.bundle", "run", "--config_file", "configs/inference.json"]
    options = ["--dataset_dir", str(labelled_volumes), "--output_dir", str(tmp_path / "out")]
    done = subprocess.run([*run, *options], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"code of {folder}" in done.stdout
    assert [row["status"] for row in rows_of(tmp_path / "out").values()] == ["ok"] * 4
