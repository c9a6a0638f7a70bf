# SPDX-License-Identifier: Apache-2.0
"""What a run leaves of a DICOM series: its formats, what is finished, what is taken for a reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pranet_monai.data.cases import find_cases
from pranet_monai.engines.case_dataset import CaseDataset
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import SaveMaskd

from tests.data.dicom_series import ID, NAME, grid, header, numbers, write_series
from tests.data.samples import write_nifti

from .masks import ACDC, DICOM, segmented


def test_formats(tmp_path: Path) -> None:
    write_series(tmp_path / "in", numbers(), grid())
    names = {
        output_format: sorted(path.name.split("_", 3)[-1] for path in (tmp_path / output_format).rglob("*.*"))
        for output_format in ("nifti", "dicom_seg", "both")
        if segmented(tmp_path / "in", tmp_path / output_format, output_format)
    }
    assert [len(found) for found in names.values()] == [1, 2, 3]
    with pytest.raises(UsageError, match="output_format 'png': allowed: nifti, dicom_seg, both"):
        SaveMaskd("pred", tmp_path, "acdc", output_format="png")  # type: ignore[arg-type]


def test_dicom_of_what_is_no_dicom_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "in/a.nii.gz", numbers(), grid())
    with pytest.raises(BadCaseError, match="found a case of the form volume_file; allowed for DICOM segmentations"):
        segmented(tmp_path / "in", tmp_path / "out", "dicom_seg")
    segmented(tmp_path / "in", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_seg.nii.gz"]


@pytest.mark.parametrize("output_format", ["both", "dicom_seg"])
def test_a_finished_case_has_them_all(tmp_path: Path, output_format: str) -> None:
    write_series(tmp_path / "in", numbers((7, 9, 4, 2)), grid(), header("MR"))
    out = tmp_path / "out"
    item, _ = segmented(tmp_path / "in", out, output_format)
    folder, finished = RunFolder(out), []

    def is_finished() -> bool:
        return folder.finished_mask(item, DICOM, ACDC, "", output_format) is not None  # type: ignore[arg-type]

    finished = sorted(path for path in out.rglob("*") if path.is_file())
    assert len(finished) == (5 if output_format == "both" else 4) and is_finished()
    for path in finished:
        content = path.read_bytes()
        path.unlink()
        assert not is_finished(), path
        path.write_bytes(content)
    assert is_finished()
    assert folder.finished_mask(item, DICOM, ACDC, "0" * 64, output_format) is None  # type: ignore[arg-type]
    assert not folder.finished_mask(item, DICOM, ACDC, "", "nifti") == (output_format == "both")


def test_a_segmentation_is_a_reference(tmp_path: Path) -> None:
    """Found by the series that it names, its segments known by their codes where their names are others."""
    write_series(tmp_path / "data/in", numbers((12, 9, 5)), grid())
    item, mask = segmented(tmp_path / "data/in", tmp_path / "out")
    reference = pydicom.dcmread(tmp_path / "out" / f"{item['case']}_seg.dcm")
    for segment in reference.SegmentSequence:
        segment.SegmentLabel = f"Segment {segment.SegmentNumber}"
    reference.save_as(tmp_path / "data/reference.dcm")
    (found,) = find_cases(tmp_path / "data", labels="required")
    assert found["label"] == str(tmp_path / "data/reference.dcm")
    loaded = LoadCased(("image", "label"), "acdc")(found)
    np.testing.assert_array_equal(loaded["label"].numpy(), mask.numpy())


def test_a_mask_beside_the_folder_is_a_reference_whatever_its_orientation(tmp_path: Path) -> None:
    write_series(tmp_path / "in/case1", numbers((12, 9, 5)), grid())
    item, mask = segmented(tmp_path / "in", tmp_path / "out")
    turned = nib.as_closest_canonical(nib.load(tmp_path / "out" / f"{item['case']}_seg.nii.gz"))
    turned.header.extensions.clear()
    nib.save(turned, tmp_path / "in/case1_gt.nii.gz")
    found = [one for one in find_cases(tmp_path / "in", labels="optional") if one["form"] == "dicom"][0]
    loaded = LoadCased(("image", "label"), "acdc")(found)
    np.testing.assert_array_equal(loaded["label"].numpy(), mask.numpy())


def test_own_segmentations_are_no_references(tmp_path: Path) -> None:
    """A run that writes among its images, done twice."""
    write_series(tmp_path, numbers(), grid())
    segmented(tmp_path, tmp_path)
    (item,) = find_cases(tmp_path, labels="optional", output_dir=tmp_path)
    assert "label" not in item


def test_nothing_of_the_patient_but_in_dicom(tmp_path: Path) -> None:
    write_series(tmp_path / "in", numbers(), grid())
    segmented(tmp_path / "in", tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        assert not any(part in str(path.relative_to(tmp_path)) for part in (ID, *NAME.split("^")))
    (nifti,) = (tmp_path / "out").rglob("*.nii.gz")
    header_bytes = b"".join(extension.content for extension in nib.load(nifti).header.extensions)
    assert not any(part.encode() in header_bytes for part in (ID, *NAME.split("^")))


def test_resume_skips_a_dicom_case(tmp_path: Path) -> None:
    write_series(tmp_path / "in", numbers(), grid())
    item, _ = segmented(tmp_path / "in", tmp_path / "out")
    dataset: Callable[..., Any] = CaseDataset
    data = dataset([item], LoadCased("image"), tmp_path / "out", True, "acdc")
    assert "finished_mask" in data[0]
    next((tmp_path / "out").rglob("*_report.dcm")).unlink()
    assert "finished_mask" not in data[0]
