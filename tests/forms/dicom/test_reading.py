# SPDX-License-Identifier: Apache-2.0
"""What scanners write, read back: every voxel at its place and on its scale, and what was assumed, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.data import MetaTensor
from pranet_monai.data.cases import find_cases
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.remarks import remarks_of
from pranet_monai.transforms.load import LoadCased
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless, generate_uid

from tests.data.dicom_series import grid, header, numbers, place_of, write_enhanced, write_series


def load(folder: Path, frames: Any = "all") -> MetaTensor:
    """The only case of a folder."""
    (item,) = find_cases(folder)
    loaded: MetaTensor = LoadCased("image", frames=frames)(item)["image"]
    return loaded


@pytest.mark.parametrize("degrees", [0, 30])
def test_every_voxel_is_at_its_place_in_hu(tmp_path: Path, degrees: float) -> None:
    """The writer's files count up along the array, so the array comes back as it was, its affine, too."""
    voxels, affine = numbers(), grid(degrees=degrees)
    write_series(tmp_path, voxels, affine)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.numpy()[0], voxels)
    np.testing.assert_allclose(np.asarray(volume.affine), affine, atol=1e-5)
    assert remarks_of(volume) == []


def test_slices_lie_where_their_positions_say_not_their_names(tmp_path: Path) -> None:
    voxels, affine = numbers(), grid()

    def from_top(dataset: Dataset, k: int, t: int) -> None:
        dataset.ImagePositionPatient = place_of(affine, 3 - k)

    write_series(tmp_path, voxels, affine, change=from_top)
    np.testing.assert_array_equal(load(tmp_path).numpy()[0], voxels[:, :, ::-1])


def test_each_file_has_its_own_slope(tmp_path: Path) -> None:
    voxels = numbers()

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.RescaleSlope = str(k + 1)

    write_series(tmp_path, voxels, grid(), change=change, intercept=-1000)
    slopes = np.array([1, 2, 3, 4])
    np.testing.assert_array_equal(load(tmp_path).numpy()[0], (voxels + 1000.0) * slopes - 1000)


@pytest.mark.parametrize(("modality", "is_turned"), [("MR", True), ("CT", False)])
def test_monochrome1(tmp_path: Path, modality: str, is_turned: bool) -> None:
    """Of 16 unsigned bits, 0 is the brightest; HU are HU however they are shown."""
    voxels = np.abs(numbers())

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"

    write_series(tmp_path, voxels, grid(), header(modality), change, intercept=0)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.numpy()[0], 65535.0 - voxels if is_turned else voxels)
    assert bool(remarks_of(volume)) == is_turned


def test_monochrome1_behind_a_table(tmp_path: Path) -> None:
    """The table's values are turned within their own range, from 0 to 3 x 1023."""
    voxels = np.abs(numbers())

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"
        del dataset.RescaleSlope, dataset.RescaleIntercept
        table = Dataset()
        table.add_new("LUTDescriptor", "US", [1024, 0, 16])
        table.add_new("ModalityLUTType", "LO", "US")
        table.add_new("LUTData", "OW", (np.arange(1024) * 3).astype(np.uint16).tobytes())
        dataset.ModalityLUTSequence = [table]

    write_series(tmp_path, voxels, grid(), header("MR"), change, intercept=0)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.numpy()[0], 3069.0 - 3.0 * voxels)
    assert remarks_of(volume) == ["MONOCHROME1: grey values inverted, so that brighter means more"]


def test_a_tilted_gantry_shears_the_grid(tmp_path: Path) -> None:
    affine = grid(tilt=20)
    write_series(tmp_path, numbers(), affine)
    volume = load(tmp_path)
    np.testing.assert_allclose(np.asarray(volume.affine), affine, atol=1e-5)
    assert remarks_of(volume) == ["slices are tilted by 20.0 degrees (gantry tilt): the grid is sheared, not resampled"]


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless], ids=lambda uid: uid.name[:12])
def test_compressed_pixels(tmp_path: Path, syntax: UID) -> None:
    voxels = numbers((32, 40, 3))
    write_series(tmp_path, voxels, grid(), syntax=syntax)
    np.testing.assert_array_equal(load(tmp_path).numpy()[0], voxels)


SYNTAXES = ("", "_RLE", "_jp2klossless", "_implicit", "_bigendian", "_jpeg_ls_lossless")


@pytest.mark.parametrize("name", [f"MR_small{syntax}.dcm" for syntax in SYNTAXES])
def test_one_picture_in_every_syntax(name: str) -> None:
    """pydicom's own test files all hold the same picture."""
    expected = LoadCased("image")({"image": get_testdata_file("MR_small.dcm")})["image"]
    found = LoadCased("image")({"image": get_testdata_file(name)})["image"]
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
    assert found.shape == (1, 64, 64, 1) and float(found.max()) > 1000


def test_one_slice_is_as_thick_as_its_header_says(tmp_path: Path) -> None:
    write_series(tmp_path, numbers((7, 9, 1)), grid())
    volume = load(tmp_path)
    assert remarks_of(volume) == ["one slice: counted as 1 mm thick, as its header says"]
    assert np.linalg.norm(np.asarray(volume.affine)[:3, 2]) == pytest.approx(1)


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_enhanced_multi_frame(tmp_path: Path, modality: str) -> None:
    voxels, affine = numbers(), grid(degrees=30)
    write_enhanced(tmp_path / "enhanced", voxels, affine, header(modality))
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.numpy()[0], voxels - voxels % 2)
    np.testing.assert_allclose(np.asarray(volume.affine), affine, atol=1e-5)


def test_two_volumes_in_one_enhanced_file_are_not_mixed(tmp_path: Path) -> None:
    """As for a classic series that holds two: by direction."""
    shared = header("MR")
    write_series(tmp_path / "a", numbers(), grid(), shared)
    write_series(tmp_path / "b", numbers((7, 9, 5)), grid(degrees=40), shared)
    items = find_cases(tmp_path)
    assert [item["case"].rpartition("_")[2] for item in items] == ["volume1", "volume2"]
    volumes = [LoadCased("image")(item)["image"] for item in items]
    assert sorted(volume.shape[3] for volume in volumes) == [4, 5]
    assert "one of 2 volumes of different directions" in remarks_of(volumes[0])[0]


# --- cines


def check_cine(folder: Path, voxels: np.ndarray, affine: np.ndarray, key: str) -> MetaTensor:
    volume = load(folder)
    np.testing.assert_array_equal(volume.numpy(), np.moveaxis(voxels, 3, 0))
    np.testing.assert_allclose(np.asarray(volume.affine), affine, atol=1e-5)
    assert f"read as a cine, in the order of {key}" in "; ".join(remarks_of(volume))
    np.testing.assert_array_equal(load(folder, frames=[2]).numpy()[0], voxels[..., 2])
    return volume


def test_a_cine_is_sorted_by_place_then_trigger_time(tmp_path: Path) -> None:
    """The files' names count down in time, and the instance numbers are mixed up."""
    voxels, affine = numbers((7, 9, 4, 5)), grid()

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.InstanceNumber = (k * 7 + t * 3) % 20 + 1

    write_series(tmp_path, voxels, affine, header("MR"), change)
    check_cine(tmp_path, voxels, affine, "TriggerTime")


@pytest.mark.parametrize("key", ["TemporalPositionIndex", "TemporalPositionIdentifier", "InstanceNumber"])
def test_a_cine_without_trigger_times(tmp_path: Path, key: str) -> None:
    voxels, affine = numbers((7, 9, 3, 5)), grid()

    def change(dataset: Dataset, k: int, t: int) -> None:
        del dataset.TriggerTime
        dataset.InstanceNumber = k + 3 * t if key == "InstanceNumber" else 1
        if key != "InstanceNumber":
            setattr(dataset, key, t + 1)

    write_series(tmp_path, voxels, affine, header("MR"), change)
    check_cine(tmp_path, voxels, affine, key)


def test_a_cine_of_one_series_per_slice(tmp_path: Path) -> None:
    voxels, affine, study = numbers((7, 9, 4, 5)), grid(), generate_uid()
    frame_of_reference = generate_uid()
    for k in range(4):
        shared = header("MR", study, number=10 + k)
        shared.FrameOfReferenceUID = frame_of_reference
        moved = affine.copy()
        moved[:3, 3] += k * affine[:3, 2]
        write_series(tmp_path / f"s{k}", voxels[:, :, [k]], moved, shared)
    long_axis = header("MR", study, number=20)
    write_series(tmp_path / "2ch", numbers((7, 9, 1, 5), 3), grid(degrees=70), long_axis)
    items = find_cases(tmp_path)
    assert len(items) == 2
    volume = LoadCased("image")(items[0])["image"]
    np.testing.assert_array_equal(volume.numpy(), np.moveaxis(voxels, 3, 0))
    assert "4 series of one slice each (numbers 10, 11, 12, 13) were put together as one cine" in remarks_of(volume)


def test_an_enhanced_cine(tmp_path: Path) -> None:
    voxels, affine = numbers((7, 9, 3, 4)), grid()
    write_enhanced(tmp_path / "cine.dcm", voxels, affine)
    check_cine(tmp_path, voxels - voxels % 2, affine, "NominalCardiacTriggerDelayTime")


# --- faults, each in words


def refused(folder: Path) -> str:
    with pytest.raises(BadCaseError) as error:
        load(folder)
    return str(error.value)


def test_a_missing_slice(tmp_path: Path) -> None:
    write_series(tmp_path, numbers((7, 9, 8)), grid())
    (tmp_path / "IM003001.dcm").unlink()
    told = refused(tmp_path)
    assert "found 7 slices 7 mm apart and 14 mm between IM002001.dcm and IM004001.dcm: 1 missing" in told


def test_slices_at_odd_distances(tmp_path: Path) -> None:
    affine = grid()

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.ImagePositionPatient = place_of(affine, k + 0.4 * (k > 4))

    write_series(tmp_path, numbers((7, 9, 8)), affine, change=change)
    assert "found slices from 7 to 9.8 mm apart, the oddest between IM004001.dcm and IM005001.dcm" in refused(tmp_path)


def test_small_unevenness_is_remarked(tmp_path: Path) -> None:
    affine = grid()

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.ImagePositionPatient = place_of(affine, k + 0.03 * (k == 4))

    write_series(tmp_path, numbers((7, 9, 8)), affine, change=change)
    assert remarks_of(load(tmp_path)) == ["slices 7 mm apart, one of them 0.21 mm off: taken as evenly spaced"]


def copy_of_slice(folder: Path, name: str, **changes: Any) -> None:
    import pydicom

    dataset = pydicom.dcmread(folder / name)
    for key, value in changes.items():
        setattr(dataset, key, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(folder / f"again_{name}")


def test_a_slice_that_is_there_twice(tmp_path: Path) -> None:
    voxels = numbers()
    write_series(tmp_path, voxels, grid())
    copy_of_slice(tmp_path, "IM001001.dcm")
    copy_of_slice(tmp_path, "IM002001.dcm", SOPInstanceUID=generate_uid(), InstanceNumber=99)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.numpy()[0], voxels)
    assert remarks_of(volume) == [
        "1 files are copies of others (the same SOP instance): each was taken once",
        "1 slices are there twice, with the same pixels: each was taken once",
    ]


def test_two_different_slices_at_one_place(tmp_path: Path) -> None:
    write_series(tmp_path, numbers(), grid())
    other = np.zeros((9, 7), np.uint16).tobytes()
    copy_of_slice(tmp_path, "IM001001.dcm", SOPInstanceUID=generate_uid(), PixelData=other)
    assert "found 2 different planes at one place (IM001001.dcm, again_IM001001.dcm), 1 at most others" in refused(
        tmp_path
    )


def test_a_whole_series_sent_twice_under_new_uids(tmp_path: Path) -> None:
    voxels = numbers()
    shared = write_series(tmp_path / "a", voxels, grid())
    write_series(tmp_path / "b", voxels, grid(), shared)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.numpy()[0], voxels)
    assert remarks_of(volume) == ["4 slices are there twice, with the same pixels: each was taken once"]


def test_a_series_sent_three_times_under_new_uids(tmp_path: Path) -> None:
    """No cine of three frames."""
    shared = write_series(tmp_path / "a", numbers(), grid())
    for name in "bc":
        write_series(tmp_path / name, numbers(), grid(), shared)
    np.testing.assert_array_equal(load(tmp_path).numpy(), numbers()[None])


def test_a_long_cine_that_lacks_a_frame(tmp_path: Path) -> None:
    write_series(tmp_path, numbers((7, 9, 3, 9)), grid(), header("MR"))
    (tmp_path / "IM001002.dcm").unlink()
    assert "and 3 more), 9 at most others" in refused(tmp_path)


def test_a_cine_that_lacks_a_frame(tmp_path: Path) -> None:
    write_series(tmp_path, numbers((7, 9, 4, 5)), grid(), header("MR"))
    (tmp_path / "IM001002.dcm").unlink()
    assert "found 4 different planes at one place" in refused(tmp_path)


def test_planes_without_a_place(tmp_path: Path) -> None:
    def change(dataset: Dataset, k: int, t: int) -> None:
        del dataset.ImagePositionPatient

    write_series(tmp_path, numbers(), grid(), change=change)
    (item,) = find_cases(tmp_path)
    assert "found no ImagePositionPatient" in item["error"]


def test_pixels_that_are_not_there_or_cut_off(tmp_path: Path) -> None:
    def without(dataset: Dataset, k: int, t: int) -> None:
        del dataset.PixelData

    write_series(tmp_path / "a", numbers(), grid(), change=without)
    assert "IM000001.dcm: found no pixel data" in refused(tmp_path / "a")
    write_series(tmp_path / "b", numbers(), grid())
    whole = (tmp_path / "b/IM000001.dcm").read_bytes()
    (tmp_path / "b/IM000001.dcm").write_bytes(whole[:-60])
    assert "IM000001.dcm: found pixels that can't be read" in refused(tmp_path / "b")


def test_files_of_one_case_without_its_item(tmp_path: Path) -> None:
    """MONAI Label and others give a path alone: a folder, or a file of the series."""
    voxels = numbers()
    write_series(tmp_path / "a", voxels, grid())
    np.testing.assert_array_equal(LoadCased("image")({"image": str(tmp_path / "a")})["image"].numpy()[0], voxels)
    write_series(tmp_path / "a", voxels, grid(degrees=5), suffix="b.dcm")
    with pytest.raises(BadCaseError, match="found 2 series of DICOM images; allowed: one"):
        LoadCased("image")({"image": str(tmp_path / "a")})


@pytest.mark.parametrize("directions", [[2, 0, 0, 0, 1, 0], [1, 0, 0, 0.6, 0.8, 0], [1, 0, 0, 1, 0, 0]])
def test_directions_that_are_none_are_refused(tmp_path: Path, directions: list[float]) -> None:
    """Longer than 1, they would make each voxel larger; not perpendicular, smaller."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.ImageOrientationPatient = directions

    write_series(tmp_path, numbers(), grid(), change=change)
    (item,) = find_cases(tmp_path)
    assert "found no ImageOrientationPatient of two perpendicular unit vectors" in item["error"]
