# SPDX-License-Identifier: Apache-2.0
"""What a hospital sends, told apart: which series are cases, what they are called, and what is left out and said so."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
import pytest
from pranet_monai.data.cases import find_cases
from pranet_monai.errors import UsageError
from pranet_monai.forms import FORMS, Search
from pranet_monai.forms.dicom import header as header_module
from pranet_monai.forms.left_out import left_out_files, left_out_sentence
from pranet_monai.forms.remarks import remarks_of
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.transforms.load import LoadCased
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.data.dicom_series import ID, NAME, grid, header, numbers, write_other, write_series

BASIC_TEXT, DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.67"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def as_scout(dataset: Dataset, k: int, t: int) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def a_cd(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two studies in a heap of folders without extensions, with scouts and a report between them."""
    study, first, second = generate_uid(), numbers(), numbers((7, 9, 5), 1)
    shared = write_series(root / "A/ST0", first, grid(), header(study=study, number=3), suffix="")
    write_series(root / "A/ST0", numbers((7, 9, 1)), grid(), header(study=study, number=1), as_scout, suffix=".s")
    for path in (root / "A/ST0").glob("*.s"):
        path.rename(path.with_suffix(".0"))
    write_other(root / "A/ST0/SR", BASIC_TEXT, shared)
    write_other(root / "A/ST0/DOSE", DOSE_REPORT, shared)
    write_series(root / "A/ST0", second, grid(degrees=3), header(study=study, number=7), suffix="b.dcm")
    write_series(root / "B/deep/er", first, grid(), header(number=3), suffix=".dcm")
    (root / "DICOMDIR").write_bytes(b"a table of contents")
    (root / "AUTORUN.INF").write_text("viewer.exe")
    return first, second


def test_every_series_is_a_case_by_study_and_number(tmp_path: Path) -> None:
    first, second = a_cd(tmp_path)
    items = {item["case"]: item for item in find_cases(tmp_path)}
    assert sorted(name.split("/")[1][:10] for name in items) == ["series_003", "series_003", "series_007"]
    assert len({name.split("/")[0] for name in items}) == 2 and all(name.startswith("study_") for name in items)
    shapes = sorted(LoadCased("image")(item)["image"].shape[3] for item in items.values())
    assert shapes == [4, 4, 5]
    assert not any(part in str(name) for name in items for part in (ID, *NAME.split("^")))


def test_what_is_no_case_is_told_in_words(tmp_path: Path) -> None:
    a_cd(tmp_path)
    found = left_out_files(Search(tmp_path), "volume")
    assert found == {
        "DICOM localizer": ["A/ST0/IM000001.0"],
        "DICOM Basic Text SR": ["A/ST0/SR"],
        "DICOM X-Ray Radiation Dose SR": ["A/ST0/DOSE"],
    }
    assert "1 DICOM localizer file (A/ST0/IM000001.0)" in left_out_sentence(found)


def test_names_stay_when_more_is_added(tmp_path: Path) -> None:
    a_cd(tmp_path)
    before = {item["case"] for item in find_cases(tmp_path)}
    write_series(tmp_path / "0", numbers(), grid(), header(number=3))
    assert before < {item["case"] for item in find_cases(tmp_path)}


def test_other_names_where_they_are_asked_for(tmp_path: Path) -> None:
    a_cd(tmp_path)
    by_folder = {item["case"] for item in find_cases(tmp_path, series_names="folder")}
    assert sorted(name.rpartition("_")[0] for name in by_folder) == ["", "A/ST0/series_003", "A/ST0/series_007"]
    assert "B/deep/er" in by_folder
    assert all(item["case"].startswith(f"{ID}/study_") for item in find_cases(tmp_path, series_names="patient"))
    with pytest.raises(UsageError, match="series_names='name': allowed are 'study', 'folder', 'patient'"):
        find_cases(tmp_path, series_names="name")  # type: ignore[arg-type]


def test_a_zip_gives_what_its_folder_gives(tmp_path: Path) -> None:
    first, _ = a_cd(tmp_path / "cd")
    with zipfile.ZipFile(tmp_path / "cd.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((tmp_path / "cd").rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
    from_folder = find_cases(tmp_path / "cd")
    from_zip = find_cases(tmp_path / "cd.zip")
    assert [item["case"] for item in from_zip] == [item["case"] for item in from_folder]
    for one, other in zip(from_zip, from_folder, strict=True):
        volumes = [LoadCased("image")(item)["image"] for item in (one, other)]
        np.testing.assert_array_equal(volumes[0].numpy(), volumes[1].numpy())
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr("configs/inference.json", "{}")
    assert len(find_cases(tmp_path)) == 3, "what is there twice, in the zip and beside it, is one case"


def test_a_series_that_lies_in_several_folders(tmp_path: Path) -> None:
    voxels = numbers((7, 9, 6))
    write_series(tmp_path, voxels, grid(), suffix="")
    for index, path in enumerate(sorted(tmp_path.glob("IM*"))):
        (tmp_path / f"D{index % 3}").mkdir(exist_ok=True)
        path.rename(tmp_path / f"D{index % 3}" / path.name)
    (item,) = find_cases(tmp_path)
    np.testing.assert_array_equal(LoadCased("image")(item)["image"].numpy()[0], voxels)


def test_a_cd_with_dicomdir_of_a_real_archive(tmp_path: Path) -> None:
    """pydicom's test CD: CT, MR and CR, files without extension; its MR are localizers, and projections of vessels."""
    source = Path(str(get_testdata_file("DICOMDIR"))).parent
    shutil.copytree(source, tmp_path / "cd", ignore=shutil.ignore_patterns("TINY_ALPHA", "*.dcm", "DICOMDIR-*"))
    items = find_cases(tmp_path / "cd")
    assert len(items) == 2 and all(item["case"].startswith("study_") for item in items)
    found = left_out_files(Search(tmp_path / "cd"), "volume")
    told = {kind: len(files) for kind, files in found.items()}
    assert told == {"DICOM Computed Radiography Image": 3, "DICOM localizer": 12, "DICOM projection": 7}


def test_images_without_pixels_are_one_row(tmp_path: Path) -> None:
    """pydicom's TINY_ALPHA: 50 headers of a CT."""
    source = Path(str(get_testdata_file("TINY_ALPHA/DICOMDIR"))).parent
    shutil.copytree(source / "PT000000", tmp_path / "PT000000")
    (item,) = find_cases(tmp_path)
    assert "found no pixel data" in item["error"] and "49 more files of its series" in item["error"]


def test_a_file_that_is_no_dicom_is_one_row(tmp_path: Path) -> None:
    write_series(tmp_path / "a", numbers(), grid())
    (tmp_path / "a/broken.dcm").write_bytes(b"no dicom")
    items = find_cases(tmp_path)
    errors = [item["error"] for item in items if "error" in item]
    assert len(items) == 2 and "broken.dcm: found a file that can't be read as DICOM" in errors[0]


def test_a_scout_of_three_directions_is_left_out(tmp_path: Path) -> None:
    shared = header("MR", number=1)
    for degrees in (0, 40, 80):
        write_series(tmp_path / f"{degrees}", numbers((7, 9, 1)), grid(degrees=degrees), shared)
    write_series(tmp_path / "t1", numbers(), grid(), header("MR", number=2))
    (item,) = find_cases(tmp_path)
    assert "series_002" in item["case"]
    assert len(left_out_files(Search(tmp_path), "volume")["DICOM localizer"]) == 3


def called(name: str) -> Dataset:
    shared = header("MR", number=1)
    shared.SeriesDescription = name
    return shared


def test_a_scout_by_its_name_alone_is_one_only_beside_others(tmp_path: Path) -> None:
    write_series(tmp_path / "1", numbers(), grid(), called("survey"))
    (item,) = find_cases(tmp_path)
    image = LoadCased("image")(item)["image"]
    assert image.shape[1:] == (7, 9, 4)
    assert remarks_of(image) == ["called as localizers are, but the only series: taken for a volume"]
    (item,) = find_cases(tmp_path / "1" / "IM000001.dcm")
    assert LoadCased("image")(item)["image"].shape[1:] == (7, 9, 1)
    write_series(tmp_path / "2", numbers(), grid(), header("MR", number=2))
    assert ["series_002" in item["case"] for item in find_cases(tmp_path)] == [True]


def test_each_volume_of_a_large_survey_is_read(tmp_path: Path) -> None:
    """One has too many slices for a localizer, so neither is left out; by itself the other one would be."""
    shared = called("localizer")
    write_series(tmp_path / "a", numbers((7, 9, 8)), grid(), shared)
    write_series(tmp_path / "b", numbers((7, 9, 3)), grid(degrees=80), shared)
    assert [LoadCased("image")(item)["image"].shape[3] for item in find_cases(tmp_path)] == [8, 3]


def test_a_picture_of_the_screen_is_left_out(tmp_path: Path) -> None:
    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SECONDARY_CAPTURE

    write_series(tmp_path, numbers(), grid(), change=change)
    with pytest.raises(UsageError, match="found no volume"):
        find_cases(tmp_path)
    assert list(left_out_files(Search(tmp_path), "volume")) == ["DICOM Secondary Capture Image"]


def test_each_header_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path, numbers(), grid())
    read, seen = header_module._read, []

    def counted(place: str) -> header_module.Header:
        seen.append(place)
        return read(place)

    monkeypatch.setattr(header_module, "_read", counted)
    for _ in range(3):
        find_cases(tmp_path)
        left_out_files(Search(tmp_path), "volume")
    assert len(seen) == 4


def test_without_pydicom_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path, numbers(), grid())
    monkeypatch.setattr("pranet_monai.forms.dicom.header.optional_import", lambda name: (None, False))
    (item,) = find_cases(tmp_path)
    assert "found no pydicom; fix: pip install 'pranet-monai[dicom]'" in item["error"]


@pytest.mark.parametrize("suffix", ["", ".dcm", ".17"])
@pytest.mark.parametrize("skipped", [128 + 4, 0], ids=["no preamble", "whole"])
@pytest.mark.parametrize("is_zip", [False, True], ids=["folder", "zip"])
def test_files_without_their_first_bytes(tmp_path: Path, suffix: str, skipped: int, is_zip: bool) -> None:
    write_series(tmp_path / "in", numbers(), grid(), suffix=suffix)
    for path in (tmp_path / "in").iterdir():
        path.write_bytes(path.read_bytes()[skipped:])
    if is_zip:
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
            for path in sorted((tmp_path / "in").iterdir()):
                archive.write(path, path.name)
        shutil.rmtree(tmp_path / "in")
    (item,) = find_cases(tmp_path)
    np.testing.assert_array_equal(LoadCased("image")(item)["image"].numpy()[0], numbers())


@pytest.mark.parametrize("implicit", [True, False])
def test_files_without_any_meta_information(tmp_path: Path, implicit: bool) -> None:
    """As programs before 1993, and some of today, write them."""
    write_series(tmp_path, numbers(), grid(), suffix="")
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        with open(path, "wb") as file:
            pydicom.filewriter.write_dataset(writer(file, implicit), dataset)
    (item,) = find_cases(tmp_path)
    np.testing.assert_array_equal(LoadCased("image")(item)["image"].numpy()[0], numbers())


def writer(file: BinaryIO, implicit: bool) -> pydicom.filebase.DicomFileLike:
    found = pydicom.filebase.DicomFileLike(file)
    found.is_implicit_VR, found.is_little_endian = implicit, True
    return found


@pytest.mark.parametrize(
    "start", [b"\x08\0\0\0\x04\0\0\0", b"\x02\0\0\0" * 40, b"\x08\0\x08\0\xff\xff", b"", b"\x7fELF"]
)
def test_other_files_without_an_extension_are_not_looked_at(tmp_path: Path, start: bytes) -> None:
    write_series(tmp_path / "a", numbers(), grid())
    (tmp_path / "table").write_bytes(start + b"\x11" * 300)
    assert len(find_cases(tmp_path)) == 1


def test_folders_that_are_called_as_if_they_were_in_a_zip(tmp_path: Path) -> None:
    folder = tmp_path / "Größe 1!/a b"
    write_series(folder, numbers(), grid())
    (item,) = find_cases(tmp_path)
    np.testing.assert_array_equal(LoadCased("image")(item)["image"].numpy()[0], numbers())


def test_a_zip_in_a_zip_is_named(tmp_path: Path) -> None:
    write_series(tmp_path / "a", numbers(), grid())
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("study/inner.zip", b"PK")
    assert left_out_files(Search(tmp_path), "volume") == {"zip in a zip": ["outer.zip!/study/inner.zip"]}


@pytest.mark.parametrize("frames", [-1, -100])
def test_fewer_pictures_than_one_are_one_row(tmp_path: Path, frames: int) -> None:
    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.NumberOfFrames = frames

    write_series(tmp_path / "a", numbers(), grid())
    write_series(tmp_path / "b", numbers((7, 9, 1)), grid(), change=change)
    whole, broken = sorted(find_cases(tmp_path), key=lambda item: "error" in item)
    assert f"IM000001.dcm: found NumberOfFrames {frames}; allowed: 1 or more" in broken["error"]
    assert LoadCased("image")(whole)["image"].shape[1:] == (7, 9, 4)


@pytest.mark.parametrize("patient", [".", "..", "...", " . ", "/", "../..", "/etc/x"])
def test_no_patient_is_called_as_a_folder_elsewhere(tmp_path: Path, patient: str) -> None:
    shared = header()
    shared.PatientID = patient
    write_series(tmp_path / "in", numbers(), grid(), shared)
    (item,) = find_cases(tmp_path / "in", series_names="patient")
    mask = RunFolder(tmp_path / "out").mask(item["case"], FORMS["dicom"])
    assert mask.resolve().is_relative_to(tmp_path / "out") and "error" not in item


def test_packed_files_and_tables_of_contents_are_named(tmp_path: Path) -> None:
    write_series(tmp_path / "a", numbers(), grid())
    (tmp_path / "slice.dcm.gz").write_bytes(b"\x1f\x8b")
    shutil.copy(str(get_testdata_file("DICOMDIR")), tmp_path / "contents.dcm")
    found = left_out_files(Search(tmp_path), "volume")
    assert found == {".dcm.gz": ["slice.dcm.gz"], "DICOM table of contents": ["contents.dcm"]}


def test_what_was_found_instead_of_a_volume(tmp_path: Path) -> None:
    write_series(tmp_path, numbers(), grid(), change=as_scout)
    with pytest.raises(UsageError, match="found no volume in it or in its sub-folders, but 4 DICOM localizer files;"):
        find_cases(tmp_path)
