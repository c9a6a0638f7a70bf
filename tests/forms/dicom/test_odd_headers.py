# SPDX-License-Identifier: Apache-2.0
"""Series whose headers break the standard get segmentations and reports all the same."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import torch
from monai.data import MetaTensor
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.data.dicom_series import ID, grid, header, numbers, write_enhanced, write_series

from .masks import ACDC, DICOM, segmented

REFERENCED = "ReferencedSOPInstanceUID"
ODD: dict[str, dict[str, Any]] = {
    "Japanese": {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"},
    "one set with code extensions": {"SpecificCharacterSet": "ISO 2022 IR 100", "PatientName": "Jürgen^Ä"},
    "set of a name that isn't one": {"SpecificCharacterSet": "ISO-8859-1", "PatientName": "Jürgen^Ä"},
    "UTF-8": {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Ωmega^Ж"},
    "empty set": {"SpecificCharacterSet": ""},
    "sex that isn't known": {"PatientSex": "U"},
    "sex in words": {"PatientSex": "Female"},
    "birth in a year": {"PatientBirthDate": "1970"},
    "date that there isn't": {"StudyDate": "20261340"},
    "time with colons": {"StudyTime": "10:11:12"},
    "number that is a letter": {"SeriesNumber": "x"},
    "number below 0": {"SeriesNumber": "-5"},
    "no UIDs of instances": {"SOPInstanceUID": ""},
    "one UID for all": {"SOPInstanceUID": "1.2.3.4.5"},
    "UIDs of letters": {"StudyInstanceUID": "abc", "FrameOfReferenceUID": "not a uid"},
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore")
def test_a_segmentation_is_made_of_it(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    def change(dataset: Dataset, k: int, t: int) -> None:
        for key, value in ODD[name].items():
            element = dataset[key] if key in dataset else None
            if element is not None and key == "SeriesNumber":
                del dataset[key]
                dataset.add_new(key, "LO", value)  # pydicom itself writes no such number
            else:
                setattr(dataset, key, value)

    write_series(tmp_path / "in", numbers((12, 9, 5)), grid(), header("MR"), change)
    item, mask = segmented(tmp_path / "in", tmp_path / "out")
    (path,), (report,) = (list((tmp_path / "out").rglob(f"*_{kind}.dcm")) for kind in ("seg", "report"))
    np.testing.assert_array_equal(DICOM.read_reference({**item, "label": str(path)}, mask, ACDC), mask.numpy())
    for written in (path, report):
        assert str(pydicom.dcmread(written).PatientName) == ODD[name].get("PatientName", str(header().PatientName))
        assert pydicom.dcmread(written).PatientID == ID
    highdicom.seg.segread(path)
    assert "Duplicate" not in caplog.text


def test_an_enhanced_file_is_written_without_complaints(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_enhanced(tmp_path / "in/x.dcm", numbers((12, 9, 5)), grid())
    with caplog.at_level(logging.WARNING):
        segmented(tmp_path / "in", tmp_path / "out")
    assert caplog.text == ""
    source, (path,) = pydicom.dcmread(tmp_path / "in/x.dcm"), (tmp_path / "out").rglob("*_seg.dcm")
    written = pydicom.dcmread(path)
    (series,) = written.ReferencedSeriesSequence
    for named in (series.ReferencedInstanceSequence, written.SourceImageSequence):
        assert [one.ReferencedSOPInstanceUID for one in named] == [source.SOPInstanceUID]


def test_what_does_not_parse_is_passed_over(tmp_path: Path) -> None:
    """Siemens's private groups, and a number that is none."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.add_new(0x00290010, "LO", "SIEMENS CSA HEADER")
        dataset.add_new(0x00291010, "OB", b"\xff" * 34)
        dataset.add_new(0x00191001, "UN", b"")
        dataset.add_new("TriggerTime", "LO", "soon")
        dataset.add_new("SliceThickness", "LO", "thin")

    write_series(tmp_path / "in", numbers((12, 9, 5)), grid(), header("MR"), change)
    item, mask = segmented(tmp_path / "in", tmp_path / "out")
    np.testing.assert_array_equal(mask.shape[1:], (12, 9, 5))
    assert DICOM.frame_count(item) == 1


def test_two_patients_with_one_series_number_keep_their_names_apart(tmp_path: Path) -> None:
    """Nothing of a header is taken from the file read before."""
    for name in ("Anna", "Berta"):
        shared = header("MR")
        shared.PatientName, shared.StudyInstanceUID = name, generate_uid()
        write_series(tmp_path / name / "in", numbers((12, 9, 5)), grid(), shared)
        segmented(tmp_path / name / "in", tmp_path / name / "out")
        (path,) = (tmp_path / name / "out").rglob("*_seg.dcm")
        assert pydicom.dcmread(path).PatientName == name


def test_an_empty_mask_is_written_without_complaints(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(image: MetaTensor) -> MetaTensor:
        return MetaTensor(torch.zeros(tuple(image.shape), dtype=torch.uint8), meta=dict(image.meta))

    monkeypatch.setattr("tests.forms.dicom.masks.drawn", nothing)
    write_series(tmp_path / "in", numbers((12, 9, 5)), grid())
    with caplog.at_level(logging.WARNING):
        segmented(tmp_path / "in", tmp_path / "out")
    assert caplog.text == ""
    (path,) = (tmp_path / "out").rglob("*_seg.dcm")
    assert not pydicom.dcmread(path).pixel_array.any()


@pytest.mark.parametrize("shared_by", [(0, 1, 2, 3, 4), (1, 2)], ids=["all", "two"])
def test_no_instance_is_named_that_is_not_there(tmp_path: Path, shared_by: tuple[int, ...]) -> None:
    """Where files share an instance UID, highdicom is shown others; these stay in no object."""
    uid = generate_uid()

    def change(dataset: Dataset, k: int, t: int) -> None:
        if k in shared_by:
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid

    write_series(tmp_path / "in", numbers((12, 9, 5)), grid(), header("MR"), change)
    item, mask = segmented(tmp_path / "in", tmp_path / "out")
    there = {str(pydicom.dcmread(file).SOPInstanceUID) for file in item["files"]}
    (path,), (report,) = (list((tmp_path / "out").rglob(f"*_{kind}.dcm")) for kind in ("seg", "report"))
    there.add(str(pydicom.dcmread(path).SOPInstanceUID))
    for written in (path, report):
        named = [element.value for element in pydicom.dcmread(written).iterall() if element.keyword == REFERENCED]
        assert named and set(map(str, named)) <= there
    np.testing.assert_array_equal(DICOM.read_reference({**item, "label": str(path)}, mask, ACDC), mask.numpy())
