# SPDX-License-Identifier: Apache-2.0
"""What was assumed about a case's files stands in its row, whatever became of the case."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from tests.engines.test_case_evaluator import run, save


def save_in_microns(path: Path, array: np.ndarray | None = None) -> None:
    image = nib.load(save(path, array))
    image.header.set_xyzt_units("micron")
    nib.save(image, path)


def test_remarks_come_to_the_row_of_good_and_of_failed_cases(tmp_path: Path) -> None:
    save(tmp_path / "data" / "good.nii.gz")
    save_in_microns(tmp_path / "data" / "small.nii.gz")
    save_in_microns(tmp_path / "data" / "unreadable.nii.gz", np.full((4, 4, 4), np.nan))
    save_in_microns(tmp_path / "data" / "breaks.nii.gz", np.full((4, 4, 4), 666))
    save(tmp_path / "data" / "labelled.nii.gz")
    save_in_microns(tmp_path / "data" / "labelled_gt.nii.gz")
    table = run(tmp_path / "data", tmp_path / "out")
    assert list(table.status.sort_index()) == ["failed", "ok", "failed", "ok", "failed"]
    assert table.remark["good"] == ""
    for case in ("small", "unreadable", "breaks"):
        assert table.remark[case].startswith("lengths of the header are in microns: converted to mm"), case
    assert table.remark["labelled"].startswith("reference: lengths of the header are in microns")
    again = run(tmp_path / "data", tmp_path / "out", resume=True)
    assert again.status["small"] == "skipped" and list(again.remark[table.index]) == list(table.remark)
