# SPDX-License-Identifier: Apache-2.0
"""The MONAI Deploy example; only where its SDK is, which wants an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pranet_monai.__main__ import main
from pranet_monai.data.phantom import write_phantom

from tests.data.dicom_series import header, write_series

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).parents[2] / "examples" / "monai_deploy_app.py"


def test_it_runs_a_packed_bundle(tmp_path: Path) -> None:
    pytest.importorskip("monai.deploy", reason="pip install monai-deploy-app-sdk")
    volume = nib.load(write_phantom(tmp_path / "drawn", 1, 0)[0])
    middle = np.asarray(volume.dataobj)[:, :, 4:6].astype(np.int16)
    write_series(tmp_path / "in", middle, np.asarray(volume.affine), header("MR"), intercept=0)
    assert main(["pack", "acdc", "--output-dir", str(tmp_path / "packed")]) == 0
    options = ["-i", tmp_path / "in", "-o", tmp_path / "out", "-m", tmp_path / "packed"]
    subprocess.run([sys.executable, EXAMPLE, *options], check=True)
    assert sorted(path.stem.rpartition("_")[2] for path in (tmp_path / "out").rglob("*.dcm")) == ["report", "seg"]
