# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.data import MetaTensor
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.errors import BadCaseError
from pranet_monai.forms import FORMS
from pranet_monai.forms.label_table import label_table_extension
from pranet_monai.transforms.load import LoadCased

AFFINE = np.diag([-1.5, -1.5, 8, 1])
ACDC = get_label_map("acdc")


def read_reference(path: Path, image: MetaTensor, label_map: LabelMap) -> np.ndarray:
    return FORMS["volume_file"].read_reference({"label": str(path)}, image, label_map)


def save(array: np.ndarray, path: Path, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(array.astype(np.int16), affine), path)
    return path


def image_of(tmp_path: Path, shape: tuple[int, ...], **options: object) -> MetaTensor:
    path = save(np.zeros(shape), tmp_path / "image.nii.gz")
    return LoadCased("image", **options)({"image": str(path)})["image"]  # type: ignore[arg-type]


def labels(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, shape)


def test_voxels_of_the_file_in_class_numbers(tmp_path: Path) -> None:
    array = labels((5, 6, 7))
    reference = read_reference(save(array, tmp_path / "gt.nii"), image_of(tmp_path, (5, 6, 7)), ACDC)
    assert reference.dtype == np.uint8
    assert np.array_equal(reference, array[None])


def test_data_sets_own_numbers_are_mapped(tmp_path: Path) -> None:
    path = save(np.full((5, 6, 7), 11), tmp_path / "label0001.nii")  # pancreas in BTCV's files
    reference = read_reference(path, image_of(tmp_path, (5, 6, 7)), get_label_map("synapse8"))
    assert (reference == 5).all()


def with_label_table(path: Path, labels: dict[int, str]) -> Path:
    image = nib.load(path)
    image.header.extensions.append(label_table_extension(labels))
    nib.save(image, path)
    return path


def test_numbers_are_those_of_the_files_label_table(tmp_path: Path) -> None:
    synapse = get_label_map("synapse8")
    path = save(np.full((5, 6, 7), 5), tmp_path / "corrected.nii.gz")  # pancreas here, oesophagus in BTCV's files
    with_label_table(path, dict(synapse.labels))
    assert (read_reference(path, image_of(tmp_path, (5, 6, 7)), synapse) == 5).all()
    with pytest.raises(BadCaseError, match=r"corrected.nii.gz: found the classes .*pancreas.*allowed: .*myocardium"):
        read_reference(path, image_of(tmp_path, (5, 6, 7)), ACDC)


def test_file_that_may_hold_class_numbers_already_is_pointed_out(tmp_path: Path) -> None:
    image = image_of(tmp_path, (5, 6, 7))
    path = save(np.full((5, 6, 7), 5), tmp_path / "mine.nii.gz")
    with pytest.warns(UserWarning, match="mine.nii.gz: read as a file of the synapse8.*--label-numbers classes"):
        assert not read_reference(path, image, get_label_map("synapse8")).any()
    assert (read_reference(path, image, get_label_map("synapse8", numbers="classes")) == 5).all()


def test_slice_drawn_as_volume_of_one(tmp_path: Path) -> None:
    array = labels((5, 6, 1))
    reference = read_reference(save(array, tmp_path / "gt.nii"), image_of(tmp_path, (5, 6)), ACDC)
    assert np.array_equal(reference, array[None])


def test_frames_of_a_cine(tmp_path: Path) -> None:
    array = labels((5, 6, 7, 4))
    path = save(array, tmp_path / "gt.nii")
    assert np.array_equal(read_reference(path, image_of(tmp_path, (5, 6, 7, 4)), ACDC), np.moveaxis(array, 3, 0))
    picked = read_reference(path, image_of(tmp_path, (5, 6, 7, 4), frames=[2, 0]), ACDC)
    assert np.array_equal(picked, np.stack([array[..., 2], array[..., 0]]))


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (
            (5, 6, 8),
            r"gt.nii: found labels of shape \(5, 6, 8\) and 1 frame\(s\); allowed: \(5, 6, 7\) and 1, those of",
        ),
        ((6, 5, 7), r"found labels of shape \(6, 5, 7\)"),
        ((5, 6, 7, 2), r"and 2 frame\(s\); allowed: \(5, 6, 7\) and 1"),
    ],
)
def test_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...], found: str) -> None:
    with pytest.raises(BadCaseError, match=found):
        read_reference(save(labels(shape), tmp_path / "gt.nii"), image_of(tmp_path, (5, 6, 7)), ACDC)


@pytest.mark.parametrize("count", [2, 5])
def test_another_number_of_frames_is_refused(tmp_path: Path, count: int) -> None:
    path = save(labels((5, 6, 7, count)), tmp_path / "gt.nii")
    for frames in ("all", 0):
        image = image_of(tmp_path, (5, 6, 7, 4), frames=frames)
        with pytest.raises(BadCaseError, match=rf"and {count} frame\(s\); allowed: \(5, 6, 7\) and 4"):
            read_reference(path, image, ACDC)


def test_another_place_is_refused_but_rounding_is_not(tmp_path: Path) -> None:
    image = image_of(tmp_path, (5, 6, 7))
    moved = AFFINE.copy()
    moved[0, 3] = 0.14  # a tenth of a voxel is 0.15 mm
    read_reference(save(labels((5, 6, 7)), tmp_path / "gt.nii", moved), image, ACDC)
    moved[0, 3] = 0.16
    with pytest.raises(BadCaseError, match="gt.nii: found labels that lie up to 0.16 mm beside .*image.nii.gz"):
        read_reference(save(labels((5, 6, 7)), tmp_path / "gt.nii", moved), image, ACDC)
    mirrored = np.diag([1.5, -1.5, 8, 1])
    with pytest.raises(BadCaseError, match="fix: resample the label"):
        read_reference(save(labels((5, 6, 7)), tmp_path / "gt.nii", mirrored), image, ACDC)


def test_unknown_labels_are_refused(tmp_path: Path) -> None:
    array = labels((5, 6, 7))
    array[0, 0, 0] = 9
    with pytest.raises(BadCaseError, match=r"gt.nii: found label values outside of acdc: 9 \(1 voxels\)"):
        read_reference(save(array, tmp_path / "gt.nii"), image_of(tmp_path, (5, 6, 7)), ACDC)
