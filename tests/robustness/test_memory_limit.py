# SPDX-License-Identifier: Apache-2.0
"""A process in a real control group: a volume beyond its limit is a row, not the end of the process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pranet_monai.storage.tables import read_csv

from .heart import AFFINE, save

LIMIT = 1500 << 20
_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of version 1 or 2 that this test may limit."""
    mount, limit = (_V1, "memory.limit_in_bytes") if (_V1 / "memory.limit_in_bytes").is_file() else (_V2, "memory.max")
    folder = mount / f"pranet_monai_test_{os.getpid()}"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(LIMIT))
    except OSError as error:
        pytest.skip(f"limiting a control group isn't allowed here: {error}")
    yield folder
    folder.rmdir()


def test_a_volume_beyond_the_limit_is_a_row(group: Path, tmp_path: Path) -> None:
    """An honest file, of 400 MB once it is unpacked."""
    data = tmp_path / "data"
    data.mkdir()
    save(data, name="small.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((600, 600, 580), np.int16), AFFINE), data / "large.nii.gz")
    script = f"""
import os
from pathlib import Path
Path({str(group / "cgroup.procs")!r}).write_text(str(os.getpid()))
from tests.robustness.runs import segment
raise SystemExit(segment({str(data)!r}, {str(tmp_path / "out")!r}, Path({str(tmp_path / "model.pt")!r}))[0])
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 1
    rows = {row["case"]: row for row in read_csv(tmp_path / "out" / "report" / "cases.csv")}
    assert rows["small"]["status"] == "ok"
    assert "found a header that claims 600 x 600 x 580 values, which need 2.33 GiB of memory" in rows["large"]["reason"]
