# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from monai.transforms import LoadImaged
from pranet_monai.data.labels import get_label_map
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.forms.label_table import label_table_extension
from pranet_monai.transforms.load import LoadCased

AFFINE = np.array([[-1.4, 0.2, 0, 31], [0.1, -1.4, 0, -7], [0, 0, 8, 12.5], [0, 0, 0, 1]])


def save(array: np.ndarray, path: Path, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def load(path: Path, **options: object) -> MetaTensor:
    return LoadCased("image", **options)({"image": str(path)})["image"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 6), (1, 5, 6, 1)),
        ((5, 6, 1), (1, 5, 6, 1)),
        ((5, 6, 7), (1, 5, 6, 7)),
        ((5, 6, 7, 3), (3, 5, 6, 7)),
        ((5, 6, 7, 1), (1, 5, 6, 7)),
    ],
)
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_every_shape_becomes_channels_first(
    tmp_path: Path, name: str, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    volume = load(save(array, tmp_path / name))
    assert tuple(volume.shape) == expected and volume.dtype == torch.float32
    frames = np.moveaxis(array, 3, 0) if array.ndim == 4 else array.reshape(expected)
    assert np.array_equal(volume.numpy(), frames)
    assert tuple(volume.meta["original_shape"]) == shape
    assert tuple(volume.meta["spatial_shape"]) == expected[1:]
    assert np.allclose(volume.affine, AFFINE, atol=1e-6) and volume.affine.dtype == torch.float64
    assert volume.meta["filename_or_obj"] == str(tmp_path / name)


@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">i2", "u2", "<i4", "u4", "<f4", ">f4", "f8"])
def test_every_number_type(tmp_path: Path, dtype: str) -> None:
    array = np.arange(60).reshape(3, 4, 5)
    header = nib.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(dtype)
    nib.save(nib.Nifti1Image(array.astype(dtype), AFFINE, header), tmp_path / "x.nii")
    assert np.array_equal(load(tmp_path / "x.nii").numpy()[0], array)


def test_a_loader_says_nothing_of_decoders_that_no_form_uses(
    recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    LoadCased("image")
    assert [str(warning.message) for warning in recwarn.list] == [] and caplog.messages == []


def test_scaled_integers_are_read_as_values(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.full((3, 3, 3), 100, np.int16), AFFINE)
    image.header.set_slope_inter(0.5, -10)
    nib.save(image, tmp_path / "x.nii.gz")
    stored = np.asarray(nib.load(tmp_path / "x.nii.gz").dataobj.get_unscaled())
    assert np.allclose(load(tmp_path / "x.nii.gz"), stored * 0.5 - 10)


def test_chosen_frames(tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    path = save(array, tmp_path / "cine.nii.gz")
    assert np.array_equal(load(path, frames=3).numpy(), array[..., 3][None])
    picked = load(path, frames=[4, 0])
    assert np.array_equal(picked.numpy(), np.stack([array[..., 4], array[..., 0]]))
    assert list(picked.meta["frames"]) == [4, 0]
    with pytest.raises(BadCaseError, match=r"cine.nii.gz: found 5 frames, asked for \[5\]; allowed: 0 to 4"):
        load(path, frames=5)
    with pytest.raises(ValueError, match="frames='first'"):
        load(path, frames="first")


def test_affine_stays_that_of_the_file_where_voxel_sizes_disagree(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((3, 3, 3), np.int16), None)
    image.header.set_zooms((2, 2, 2))
    image.header.set_sform(np.diag([3.0, 3, 3, 1]), code=1)
    image.header.set_qform(np.diag([2.0, 2, 2, 1]), code=1)
    nib.save(image, tmp_path / "x.nii")
    assert np.array_equal(np.diag(load(tmp_path / "x.nii").affine), [3, 3, 3, 1])


def text(path: Path) -> None:
    path.write_text("patient 7, see letter")


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    save(np.random.default_rng(0).integers(0, 999, (40, 40, 9)).astype(np.int16), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_nans(path: Path) -> None:
    array = np.ones((4, 4, 4), np.float32)
    array[0, 0, :3], array[1, 1, 1] = np.nan, np.inf
    save(array, path)


def empty_axis(path: Path) -> None:
    save(np.zeros((5, 0, 3), np.int16), path)


def five_axes(path: Path) -> None:
    save(np.zeros((5, 5, 3, 2, 3), np.int16), path)


def one_axis(path: Path) -> None:
    save(np.zeros(5, np.int16), path)


def colour(path: Path) -> None:
    save(np.zeros((5, 5, 3), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])), path)


def complex_numbers(path: Path) -> None:
    save(np.zeros((5, 5, 3), np.complex64), path)


def singular(path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((5, 5, 3), np.int16), None)
    image.header.set_sform(np.diag([1.0, 0, 1, 1]), code=1)
    nib.save(image, path)


def no_file(path: Path) -> None:
    path.symlink_to(path.with_name("moved.nii"))


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
@pytest.mark.parametrize(
    ("make", "found"),
    [
        (text, "found 21 bytes that can't be read"),
        (nothing, "found 0 bytes that can't be read"),
        (truncated, "bytes that can't be read as a volume"),
        (with_nans, "found 3 NaN and 1 infinite voxels of 64"),
        (empty_axis, "with an axis of size 0"),
        (five_axes, "found an array of 5 dimensions, shape (5, 5, 3, 2, 3)"),
        (one_axis, "found an array of 1 dimensions"),
        (colour, "found voxels of type [('R'"),
        (complex_numbers, "found voxels of type complex64"),
        (singular, "found an affine that gives voxels no place in space: [[1.0, 0.0"),
        (no_file, "found no such file"),
    ],
)
def test_bad_files_say_file_finding_and_fix(
    tmp_path: Path, name: str, make: Callable[[Path], None], found: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(BadCaseError) as caught:
        load(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ")
    # nibabel forgets the shape of an empty array inside gzip, not that it is empty
    assert found in message
    assert "; fix: " in message and "\n" not in message


def test_damaged_voxel_fails_by_the_checksum(tmp_path: Path) -> None:
    """The file is whole to its last voxel, so that nibabel reads it without a word."""
    path = save(np.zeros((40, 40, 9), np.int16), tmp_path / "x.nii.gz")
    right = path.read_bytes()
    content = bytearray(gzip.decompress(right))
    content[-1] = 1
    path.write_bytes(gzip.compress(bytes(content))[:-8] + right[-8:])
    assert nib.load(path).get_fdata().any()
    with pytest.raises(BadCaseError, match=r"x.nii.gz: found .*can.t be read .*CRC check failed"):
        load(path)


def test_file_without_reader_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.mha").write_text("ObjectType = Image")
    monkeypatch.setattr("pranet_monai.forms.volume_reader.optional_import", lambda name: (None, False))
    with pytest.raises(BadCaseError, match="x.mha: found no reader.*pip install itk"):
        load(tmp_path / "x.mha")


@pytest.mark.parametrize("name", ["x.mhd", "x.nrrd"])
def test_types_of_whole_numbers_through_itk(tmp_path: Path, name: str) -> None:
    """Signed bytes are PROMISE12's labels, 64 bits what numpy makes of any."""
    for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64):
        array = np.arange(24).reshape(4, 3, 2).astype(kind)
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name))
        assert (load(tmp_path / name)[0].numpy() == array.transpose(2, 1, 0)).all(), kind


@pytest.mark.parametrize("name", ["x.mha", "x.nrrd"])
def test_other_kinds_through_itk(tmp_path: Path, name: str) -> None:
    array = np.arange(60, dtype=np.int16).reshape(5, 4, 3)  # SimpleITK: z, y, x
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.5, 2.0, 8.0))
    image.SetOrigin((10.0, 20.0, 30.0))
    sitk.WriteImage(image, str(tmp_path / name))
    volume = load(tmp_path / name)
    assert np.array_equal(volume.numpy()[0], array.transpose())
    # ITK's x and y point to the left and back, ours to the right and front
    assert np.allclose(volume.affine, [[-1.5, 0, 0, -10], [0, -2, 0, -20], [0, 0, 8, 30], [0, 0, 0, 1]])
    assert tuple(volume.meta["original_shape"]) == (3, 4, 5)


def test_is_monais_loader_for_monai_label(tmp_path: Path) -> None:
    """MONAI Label finds loaders by their class and asks them for the metadata beside the image."""
    loader = LoadCased("image")
    assert isinstance(loader, LoadImaged)
    loader._loader.image_only = False
    path = save(np.zeros((5, 6, 7), np.int16), tmp_path / "x.nii.gz")
    data = loader({"image": str(path)})
    assert tuple(data["image_meta_dict"]["spatial_shape"]) == (5, 6, 7)
    assert np.allclose(data["image_meta_dict"]["original_affine"], AFFINE, atol=1e-6)


def test_missing_keys(tmp_path: Path) -> None:
    path = save(np.zeros((5, 6, 7), np.int16), tmp_path / "x.nii.gz")
    keys = ["image", "label"]
    assert set(LoadCased(keys, "acdc", allow_missing_keys=True)({"image": str(path)})) == {"image"}
    with pytest.raises(KeyError):
        LoadCased(keys, "acdc")({"image": str(path)})


def test_wrong_keys_are_refused() -> None:
    with pytest.raises(UsageError, match="allowed are 'image', or 'image' and 'label'"):
        LoadCased(["image", "mask"], "acdc")
    with pytest.raises(UsageError, match="label_map is None"):
        LoadCased(["image", "label"])


def test_a_reference_comes_as_class_numbers_in_the_place_of_its_image(tmp_path: Path) -> None:
    image = save(np.zeros((1, 1, 4), np.int16), tmp_path / "x.nii.gz")
    label = save(np.array([[[0, 5, 6, 11]]], np.int16), tmp_path / "x_gt.nii.gz")  # BTCV's numbers
    loaded = LoadCased(["image", "label"], "synapse8")({"image": str(image), "label": str(label)})
    assert loaded["label"].tolist() == [[[[0.0, 0.0, 6.0, 5.0]]]]  # oesophagus is background here
    assert torch.equal(loaded["label"].affine, loaded["image"].affine)
    with pytest.raises(BadCaseError, match="x_gt.nii.gz: found label values outside of acdc"):
        LoadCased(["image", "label"], "acdc")({"image": str(image), "label": str(label)})


def test_frames_that_nobody_has_labelled_are_left_out(tmp_path: Path) -> None:
    """A cine whose reference holds two of its frames, as those of M&Ms do."""
    cine, classes = np.arange(40, dtype=np.int16).reshape(2, 2, 2, 5), np.zeros((2, 2, 2, 5), np.int16)
    classes[0, 0, 0, 1], classes[1, 1, 1, 4] = 1, 3
    image, label = save(cine, tmp_path / "x.nii.gz"), save(classes, tmp_path / "x_gt.nii.gz")
    item = {"image": str(image), "label": str(label)}
    loaded = LoadCased(["image", "label"], "acdc")(item)
    assert np.array_equal(loaded["image"].numpy(), np.moveaxis(cine, 3, 0)[[1, 4]])
    assert np.array_equal(loaded["label"].numpy(), np.moveaxis(classes, 3, 0)[[1, 4]])
    assert len(LoadCased("image")(item)["image"]) == 5, "to be segmented, all are there"
    assert len(LoadCased(["image", "label"], "acdc", frames=[0, 1, 2])(item)["image"]) == 1
    save(np.zeros_like(classes), label)
    assert len(LoadCased(["image", "label"], "acdc")(item)["label"]) == 5, "nothing is in any: they agree"


def test_a_label_table_says_how_its_file_counts(tmp_path: Path) -> None:
    """As masks of this project do, corrected ones of MONAI Label included."""
    image = save(np.zeros((3, 3, 1), np.int16), tmp_path / "x.nii.gz")
    label = nib.Nifti1Image(np.arange(9, dtype=np.uint8).reshape(3, 3, 1), AFFINE)
    label.header.extensions.append(label_table_extension(get_label_map("synapse8").labels))
    nib.save(label, tmp_path / "x_seg.nii.gz")
    item = {"image": str(image), "label": str(tmp_path / "x_seg.nii.gz")}
    assert LoadCased(["image", "label"], "synapse8")(item)["label"].flatten().tolist() == list(range(9))
    with pytest.raises(BadCaseError, match="x_seg.nii.gz: found the classes"):
        LoadCased(["image", "label"], "acdc")(item)
