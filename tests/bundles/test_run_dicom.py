# SPDX-License-Identifier: Apache-2.0
"""A study as a hospital sends it, through the command: rows, files, privacy, resume and evaluation."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pranet_monai.__main__ import main
from pranet_monai.data.phantom import write_phantom

from tests.data.dicom_series import ID, NAME, grid, header, numbers, write_other, write_series

pytestmark = pytest.mark.slow
BASIC_TEXT = "1.2.840.10008.5.1.4.1.1.88.11"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cine of two frames and two slices, a series that lacks a slice, and a report."""
    folder = tmp_path_factory.mktemp("study")
    volume = nib.load(write_phantom(folder / "drawn", 1, 0)[0])
    middle = np.asarray(volume.dataobj)[:, :, 4:6].astype(np.int16)
    cine = np.stack([middle, middle[:, :, ::-1]], axis=-1)
    shared = header("MR", number=1)
    write_series(folder / "cd/A", cine, np.asarray(volume.affine), shared, intercept=0, suffix="")
    write_series(folder / "cd/B", numbers((40, 40, 6)), grid(), header("MR", shared.StudyInstanceUID, number=2))
    (folder / "cd/B/IM003001.dcm").unlink()
    write_other(folder / "cd/SR01", BASIC_TEXT, shared)
    return folder / "cd"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def rows(out: Path, table: str = "cases.csv") -> list[dict[str, str]]:
    with open(out / "report" / table, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_study(study: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run("segment", study, out, "--bundle", "acdc", "--quiet") == 1
    assert "left out: 1 DICOM Basic Text SR file (SR01)" in capfd.readouterr().err
    by_name = {row["case"].partition("/")[2][:10] + row["case"][-8:]: row for row in rows(out)}
    frames = [row for row in by_name.values() if row["case"].endswith(("_frame01", "_frame02"))]
    (broken,) = [row for row in by_name.values() if row not in frames]
    assert [row["status"] for row in frames] == ["ok", "ok"] and "cine, in the order of TriggerTime" in frames[0][
        "remark"
    ]
    assert broken["status"] == "failed" and "1 missing" in broken["reason"]
    check_privacy(out)
    check_volumes(out, frames)
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.dcm")}
    assert len(written) == 4
    assert run("segment", study, out, "--bundle", "acdc", "--quiet", "--resume") == 1
    assert [row["status"] for row in rows(out)].count("skipped") == 2
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.dcm")} == written
    check_evaluation(study, out, tmp_path)


def check_privacy(out: Path) -> None:
    """Nothing of the patient in the names of files, in tables, on the page or in the NIfTI mask."""
    for path in out.rglob("*"):
        told = str(path.relative_to(out)).encode()
        told += path.read_bytes() if path.is_file() and path.suffix != ".dcm" else b""
        assert not any(word.encode() in told for word in (ID, *NAME.split("^"))), path


def check_volumes(out: Path, frames: list[dict[str, str]]) -> None:
    """The reports' volumes are the table's, the segmentations' pixels those of the NIfTI mask."""
    (mask,) = out.rglob("*_seg.nii.gz")
    classes = np.asarray(nib.load(mask).dataobj)
    for t, row in enumerate(frames):
        segmentation = pydicom.dcmread(out / f"{row['case']}_seg.dcm")
        assert int(segmentation.pixel_array.sum()) == int((classes[..., t] > 0).sum()) > 0
        report = str(pydicom.dcmread(out / f"{row['case']}_report.dcm"))
        for organ in ("right_ventricle", "myocardium", "left_ventricle"):
            assert f"'{float(row[f'volume_ml_{organ}']):.6f}".rstrip("0")[:7] in report
        expected = [value for column, value in row.items() if column.startswith("expected_dice") and value]
        assert expected and all(f"'{float(value):g}'" in report for value in expected)


def check_evaluation(study: Path, out: Path, folder: Path) -> None:
    """The segmentations as references, beside the series: found, read, and equal to the masks."""
    references = folder / "references"
    shutil.copytree(study, references)
    for path in out.rglob("*_seg.dcm"):
        shutil.copy(path, references / path.name)
    label = ["--predictions", out, "--labels", references, "--label-map", "acdc"]
    assert run("evaluate", *label, "--output", folder / "judged", "--quiet", "--no-previews") == 0
    dice = [float(row["dice"]) for row in rows(folder / "judged", "metrics.csv") if row["dice"]]
    assert len(dice) >= 4 and set(dice) == {1.0}


def test_other_formats_and_wrong_use(study: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run("segment", study / "A", out, "--bundle", "acdc", "--quiet", "--output-format", "dicom_seg") == 0
    assert len(list(out.rglob("*.dcm"))) == 4 and not list(out.rglob("*.nii.gz"))
    assert run("segment", study / "A", out, "--bundle", "acdc", "--set", "output_format=png") == 2
    assert "output_format 'png': allowed: nifti, dicom_seg, both" in capfd.readouterr().err
