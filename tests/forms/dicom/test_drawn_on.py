# SPDX-License-Identifier: Apache-2.0
"""Which series an expert's segmentation is of, where it doesn't name one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import get_label_map
from pranet_monai.forms import FORMS, Search
from pranet_monai.forms.dicom import series as series_module
from pranet_monai.forms.left_out import left_out_files
from pranet_monai.transforms.load import LoadCased
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.data.dicom_series import grid, header, numbers, write_series

from .masks import segmented

DICOM, ACDC = FORMS["dicom"], get_label_map("acdc")
EVERY_WAY = ("sources", "study and frame of reference")


def study(folder: Path, way: str) -> tuple[np.ndarray, Path]:
    """A series with its segmentation, from which names are taken, and another series of the study beside it."""
    shared = write_series(folder / "in/a", numbers((12, 9, 5)), grid(), header("MR", number=1))
    item, mask = segmented(folder / "in", folder / "out")
    other = header("MR", shared.StudyInstanceUID, number=2)
    write_series(folder / "in/b", numbers((12, 9, 5), 1), grid(degrees=10), other)
    dataset = pydicom.dcmread(folder / "out" / f"{item['case']}_seg.dcm")
    del dataset.ReferencedSeriesSequence
    if way != "sources":
        for groups in dataset.PerFrameFunctionalGroupsSequence:
            del groups.DerivationImageSequence
    dataset.save_as(folder / "in/expert.dcm")
    return mask.numpy(), folder / "in/expert.dcm"


def references(folder: Path) -> dict[int, str]:
    """Series number → found reference, or the sentence that there is none."""
    search, found = Search(folder), {}
    for item in find_cases(folder):
        number = int(item["case"].partition("series_")[2][:3] or len(found) + 1)
        reference = DICOM.find_reference(item, search)
        found[number] = DICOM.no_reference(item, search) if reference is None else reference.name
    return found


@pytest.mark.parametrize("way", EVERY_WAY)
def test_it_is_found_and_read(tmp_path: Path, way: str) -> None:
    expected, expert = study(tmp_path, way)
    found = references(tmp_path / "in")
    assert found[1] == "expert.dcm" and "found no reference of this series; allowed" in found[2]
    item = find_cases(tmp_path / "in")[0]
    image = LoadCased("image")(item)["image"]
    np.testing.assert_array_equal(DICOM.read_reference({**item, "label": str(expert)}, image, ACDC), expected)
    assert "DICOM segmentation" not in left_out_files(Search(tmp_path / "in"), "volume")


def change_all(folder: Path, **values: Any) -> None:
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        for name, value in values.items():
            setattr(dataset, name, value)
        dataset.save_as(path)


def test_two_series_that_it_may_be_of(tmp_path: Path) -> None:
    """Never that which happens to come first."""
    _, expert = study(tmp_path, "study and frame of reference")
    change_all(tmp_path / "in/b", FrameOfReferenceUID=pydicom.dcmread(expert).FrameOfReferenceUID)
    found = references(tmp_path / "in")
    assert all(f"{expert} doesn't say which of several series of its study it is of" in told for told in found.values())


def test_sources_tell_between_two_series(tmp_path: Path) -> None:
    _, expert = study(tmp_path, "sources")
    change_all(tmp_path / "in/b", FrameOfReferenceUID=pydicom.dcmread(expert).FrameOfReferenceUID)
    found = references(tmp_path / "in")
    assert found[1] == "expert.dcm" and "found no reference" in found[2]


def test_it_is_of_no_series_that_is_here(tmp_path: Path) -> None:
    _, expert = study(tmp_path, "study and frame of reference")
    change_all(tmp_path / "in/a", FrameOfReferenceUID=generate_uid())
    found = references(tmp_path / "in")
    assert all(f"{expert} is of a series that isn't here" in told for told in found.values())
    assert left_out_files(Search(tmp_path / "in"), "volume")["DICOM segmentation"] == ["expert.dcm"]


def test_files_without_any_names_of_studies(tmp_path: Path) -> None:
    """Two objects that say nothing are not of one study for that."""
    study(tmp_path, "study and frame of reference")

    def bare(path: Path) -> None:
        dataset: Dataset = pydicom.dcmread(path)
        for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
            setattr(dataset, name, "")
        dataset.save_as(path)

    for path in (tmp_path / "in").rglob("*.dcm"):
        bare(path)
    assert all("found no reference" in told for told in references(tmp_path / "in").values())


def test_many_series_without_a_reference_are_put_together_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(tmp_path, "study and frame of reference")
    for number in range(3, 7):
        write_series(tmp_path / f"in/{number}", numbers(), grid(), header("MR", number=number))
    make, made = series_module.series_of, list[int]()

    def counted(headers: Any) -> list[series_module.Series]:
        made.append(1)
        return make(headers)

    monkeypatch.setattr(series_module, "series_of", counted)
    errors = [item.get("error", "") for item in find_cases(tmp_path / "in", "required")]
    assert sum("found no reference of this series" in error for error in errors) == 5 and len(made) == 1
