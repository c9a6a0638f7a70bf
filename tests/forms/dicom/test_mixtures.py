# SPDX-License-Identifier: Apache-2.0
"""Series that hold more than one volume, or none: told apart, left out or refused in words, never mixed."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pranet_monai.data.cases import find_cases
from pranet_monai.errors import UsageError
from pranet_monai.forms import Search
from pranet_monai.forms.left_out import left_out_files
from pranet_monai.forms.remarks import remarks_of
from pranet_monai.transforms.load import LoadCased
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.data.dicom_series import Change, grid, header, numbers, place_of, write_enhanced, write_series

from .test_reading import load, refused


def volumes(folder: Path) -> dict[str, np.ndarray]:
    """Remark that tells the volumes of a series apart → frames."""
    loaded = [LoadCased("image")(item)["image"] for item in find_cases(folder)]
    return {remarks_of(volume)[0].partition("same places: ")[2]: volume.numpy() for volume in loaded}


def of_kinds(set_kind: Callable[[Dataset, int], None], number: Callable[[int, int], int | None]) -> Change:
    """Planes at one place that aren't times; numbered in some way, or not at all."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        del dataset.TriggerTime
        set_kind(dataset, t)
        dataset.InstanceNumber = number(k, t)
        if dataset.InstanceNumber is None:
            del dataset.InstanceNumber

    return change


def echo(dataset: Dataset, t: int) -> None:
    dataset.EchoTime = (4.6, 9.2, 13.8)[t]


NUMBERINGS = [lambda k, t: 3 * k + t + 1, lambda k, t: k + 4 * t + 1, lambda k, t: None, lambda k, t: 7 * k * t + t]


@pytest.mark.parametrize("number", NUMBERINGS, ids=["by slice", "by echo", "none", "wild"])
def test_echoes_are_volumes_however_they_are_numbered(tmp_path: Path, number: Any) -> None:
    voxels = numbers((7, 9, 4, 3))
    write_series(tmp_path, voxels, grid(), header("MR"), of_kinds(echo, number))
    found = volumes(tmp_path)
    assert list(found) == ["echo time 4.6 ms", "echo time 9.2 ms", "echo time 13.8 ms"]
    np.testing.assert_array_equal(np.concatenate(list(found.values())), np.moveaxis(voxels, 3, 0))
    assert [item["case"].rpartition("_")[2] for item in find_cases(tmp_path)] == ["volume1", "volume2", "volume3"]


def test_water_and_fat_are_volumes(tmp_path: Path) -> None:
    def dixon(dataset: Dataset, t: int) -> None:
        dataset.ImageType = ["DERIVED", "PRIMARY", ("WATER", "FAT")[t]]

    voxels = numbers((7, 9, 4, 2))
    write_series(tmp_path, voxels, grid(), header("MR"), of_kinds(dixon, lambda k, t: 1))
    found = volumes(tmp_path)
    np.testing.assert_array_equal(found["image type DERIVED/PRIMARY/FAT"][0], voxels[..., 1])
    np.testing.assert_array_equal(found["image type DERIVED/PRIMARY/WATER"][0], voxels[..., 0])


def test_magnitude_and_phase_are_a_cine_each(tmp_path: Path) -> None:
    """Both are taken at the same trigger times, as in phase contrast."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.TriggerTime, dataset.ImageType = str(30 * (t // 2)), ["ORIGINAL", "PRIMARY", "MP"[t % 2]]

    voxels = numbers((7, 9, 4, 6))
    write_series(tmp_path, voxels, grid(), header("MR"), change)
    found = volumes(tmp_path)
    np.testing.assert_array_equal(found["image type ORIGINAL/PRIMARY/M"], np.moveaxis(voxels[..., ::2], 3, 0))
    np.testing.assert_array_equal(found["image type ORIGINAL/PRIMARY/P"], np.moveaxis(voxels[..., 1::2], 3, 0))


def test_b_values_are_volumes_and_their_directions_frames(tmp_path: Path) -> None:
    def b_value(dataset: Dataset, t: int) -> None:
        if t:
            dataset.DiffusionBValue = 1000.0

    voxels = numbers((7, 9, 4, 4))
    write_series(tmp_path, voxels, grid(), header("MR"), of_kinds(b_value, lambda k, t: k + 4 * t))
    found = volumes(tmp_path)
    np.testing.assert_array_equal(found["b-value unknown"][0], voxels[..., 0])
    np.testing.assert_array_equal(found["b-value 1000"], np.moveaxis(voxels[..., 1:], 3, 0))


def test_echoes_of_an_enhanced_file(tmp_path: Path) -> None:
    voxels = numbers((7, 9, 3, 2))
    write_enhanced(tmp_path / "x.dcm", voxels, grid())
    dataset = pydicom.dcmread(tmp_path / "x.dcm")
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        time, item = groups.FrameContentSequence[0].TemporalPositionIndex, Dataset()
        item.EffectiveEchoTime = 5.0 * time
        del groups.FrameContentSequence, groups.CardiacSynchronizationSequence
        groups.MREchoSequence = [item]
    dataset.save_as(tmp_path / "x.dcm")
    found = volumes(tmp_path)
    assert list(found) == ["echo time 5 ms", "echo time 10 ms"]
    np.testing.assert_array_equal(np.concatenate(list(found.values())), np.moveaxis(voxels - voxels % 2, 3, 0))


def test_echoes_that_are_not_the_same_everywhere(tmp_path: Path) -> None:
    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.EchoTime = 5 + 10 * t + 10 * (k == 2)

    write_series(tmp_path, numbers((7, 9, 4, 2)), grid(), header("MR"), change)
    assert "found planes at one place with echo time 15 ms, 25 ms elsewhere 15 ms, 5 ms; allowed" in refused(tmp_path)


def test_times_that_nothing_tells(tmp_path: Path) -> None:
    """The names of files say nothing: at each place another frame may come first."""
    change = of_kinds(lambda dataset, t: None, lambda k, t: None)
    write_series(tmp_path, numbers((7, 9, 4, 3)), grid(), header("MR"), change)
    told = refused(tmp_path)
    assert "found 3 planes at each place (IM000001.dcm, IM000002.dcm, …) and nothing that says which" in told


def test_numbers_that_do_not_go_on_alike_are_no_times(tmp_path: Path) -> None:
    change = of_kinds(lambda dataset, t: None, lambda k, t: [[1, 5, 9], [2, 3, 8], [4, 6, 7]][k][t])
    write_series(tmp_path, numbers((7, 9, 3, 3)), grid(), header("MR"), change)
    assert "nothing that says which of them belong together" in refused(tmp_path)


def test_two_acquisitions_are_frames(tmp_path: Path) -> None:
    """A CT before and after contrast as one series."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        del dataset.TriggerTime
        dataset.AcquisitionNumber, dataset.InstanceNumber = t + 1, (k * 5 + t * 3) % 8

    voxels = numbers((7, 9, 4, 2))
    write_series(tmp_path, voxels, grid(), change=change)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.numpy(), np.moveaxis(voxels, 3, 0))
    assert remarks_of(volume) == ["2 planes at each place: read as a cine, in the order of AcquisitionNumber"]


# --- UIDs


@pytest.mark.parametrize("slices", [(0, 1, 2, 3), (1, 2)], ids=["all", "two"])
def test_slices_that_share_a_uid_are_no_copies(tmp_path: Path, slices: tuple[int, ...]) -> None:
    """Some anonymisers give a whole series one instance UID."""
    uid = generate_uid()

    def change(dataset: Dataset, k: int, t: int) -> None:
        if k in slices:
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid

    write_series(tmp_path, numbers(), grid(), change=change)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.numpy()[0], numbers())
    assert remarks_of(volume) == [
        f"4 files share {5 - len(slices)} SOP instance UIDs, though they differ: all were taken"
    ]


# --- no volumes


def test_a_mosaic_is_no_slice(tmp_path: Path) -> None:
    """A real one: Siemens diffusion, of nibabel's tests."""
    for name in ("siemens_dwi_0.dcm", "siemens_dwi_1000.dcm"):
        packed = Path(nib.__file__).parent / "nicom/tests/data" / f"{name}.gz"
        if not packed.is_file():
            pytest.skip("nibabel came without its tests")
        (tmp_path / name).write_bytes(gzip.decompress(packed.read_bytes()))
    (item,) = find_cases(tmp_path)
    assert "siemens_dwi_0.dcm: found a mosaic, all slices side by side in one picture; allowed: a pict" in item["error"]
    assert "fix: convert it by dcm2niix" in item["error"] and "1 more files of its series" in item["error"]


def stack_across(folder: Path, shared: Dataset, count: int, name: str, along: tuple[int, ...]) -> None:
    """Parallel planes, whose rows and columns run along these six direction cosines."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        normal = np.cross(along[:3], along[3:])
        dataset.ImageOrientationPatient = [str(value) for value in along]
        dataset.ImagePositionPatient = [str(value) for value in 10 * k * normal]

    write_series(folder, numbers((9, 9, count)), grid(), shared, change, suffix=f"{name}.dcm")


THREE_PLANES = {"t": (1, 0, 0, 0, 1, 0), "c": (1, 0, 0, 0, 0, -1), "s": (0, 1, 0, 0, 0, -1)}


def three_planes(folder: Path, count: int) -> None:
    shared = header("MR")
    for name, along in THREE_PLANES.items():
        stack_across(folder, shared, count, name, along)


@pytest.mark.parametrize("count", [3, 5])
def test_a_localizer_of_few_slices_in_three_directions(tmp_path: Path, count: int) -> None:
    three_planes(tmp_path, count)
    with pytest.raises(UsageError, match=f"found no volume .*{3 * count} DICOM localizer files"):
        find_cases(tmp_path)
    assert len(left_out_files(Search(tmp_path), "volume")["DICOM localizer"]) == 3 * count


def test_more_slices_in_three_directions_are_volumes(tmp_path: Path) -> None:
    three_planes(tmp_path, 6)
    assert len(find_cases(tmp_path)) == 3


@pytest.mark.parametrize(
    "name", ["Localizer", "t2_haste_loc", "3-pl T2* FGRE", "SURVEY_32ch", "AAHead_Scout", "3Plane Loc"]
)
@pytest.mark.parametrize("key", ["SeriesDescription", "ProtocolName"])
def test_a_few_slices_that_are_called_a_localizer(tmp_path: Path, name: str, key: str) -> None:
    shared = header("MR")
    setattr(shared, key, name)
    write_series(tmp_path / "a", numbers((7, 9, 5)), grid(), shared)
    write_series(tmp_path / "b", numbers(), grid(), header("MR"))
    assert len(find_cases(tmp_path)) == 1
    assert list(left_out_files(Search(tmp_path), "volume")) == ["DICOM localizer"]
    more = header("MR")
    setattr(more, key, name)
    write_series(tmp_path / "b", numbers((7, 9, 6)), grid(), more)
    assert len(find_cases(tmp_path)) == 1, "six slices are a volume, whatever they are called"


@pytest.mark.parametrize("name", ["local shim T2", "allocated", "t1 global", "pelvis 3 planned", "Scouting"])
def test_names_that_only_look_so(tmp_path: Path, name: str) -> None:
    shared = header("MR")
    shared.SeriesDescription = name
    write_series(tmp_path, numbers((7, 9, 3)), grid(), shared)
    assert remarks_of(load(tmp_path)) == []


@pytest.mark.parametrize(("count", "apart", "is_told"), [(3, 20, True), (2, 15, True), (3, 14, False), (4, 20, False)])
def test_few_slices_far_apart_get_a_remark(tmp_path: Path, count: int, apart: float, is_told: bool) -> None:
    write_series(tmp_path, numbers((7, 9, count)), grid((1, 1, apart)), header("MR"))
    told = [f"{count} slices {apart} mm apart: it may be a localizer"]
    assert remarks_of(load(tmp_path)) == (told if is_told else [])


def test_long_axis_cines_in_one_series_are_no_localizer(tmp_path: Path) -> None:
    shared = header("MR")
    for index, along in enumerate(THREE_PLANES.values()):

        def change(dataset: Dataset, k: int, t: int, along: tuple[int, ...] = along) -> None:
            dataset.ImageOrientationPatient = [str(value) for value in along]

        write_series(tmp_path / str(index), numbers((9, 9, 1, 8)), grid(), shared, change)
    assert len(find_cases(tmp_path)) == 3


def test_a_place_that_one_slice_does_not_tell(tmp_path: Path) -> None:
    def change(dataset: Dataset, k: int, t: int) -> None:
        if k == 2:
            del dataset.ImagePositionPatient

    write_series(tmp_path, numbers(), grid(), change=change)
    (item,) = find_cases(tmp_path)
    assert "IM002001.dcm: found no ImagePositionPatient that says where" in item["error"]


def test_pixels_of_a_size_that_only_the_detector_knows(tmp_path: Path) -> None:
    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.ImagerPixelSpacing = dataset.PixelSpacing
        del dataset.PixelSpacing
        dataset.ImagePositionPatient = place_of(grid(), k)

    write_series(tmp_path, numbers(), grid(), change=change)
    (item,) = find_cases(tmp_path)
    assert "found no PixelSpacing that says where" in item["error"]
