# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pranet_monai.errors import BadCaseError
from pranet_monai.transforms.load import LoadCased

from tests.data.samples import Sample, made_sample, slice_name, write_dicom


@pytest.fixture
def sample() -> Sample:
    return made_sample(5)


@pytest.fixture
def case(tmp_path: Path, sample: Sample) -> dict[str, str]:
    write_dicom(tmp_path / "DICOM_anon", sample)
    (tmp_path / "Ground").mkdir()
    for k in range(sample.label.shape[2]):
        name = slice_name(sample.label.shape[2], k)
        Image.fromarray(sample.label[:, :, k].T).save(tmp_path / f"Ground/{name}.png")
    return {"image": str(tmp_path / "DICOM_anon"), "label": str(tmp_path / "Ground")}


def load(case: dict[str, str]) -> dict:
    """Image, and label where there is one."""
    keys = [key for key in ("image", "label") if key in case]
    return LoadCased(keys, "chaos_mr")(case)


def world_values(array: np.ndarray, affine: np.ndarray) -> dict[tuple[float, ...], float]:
    """Value at each place in mm: the same for every order in which the voxels may be stored."""
    index = np.stack(np.meshgrid(*map(np.arange, array.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    places = np.round(nib.affines.apply_affine(affine, index), 2) + 0.0
    return dict(zip(map(tuple, places.tolist()), array.reshape(-1).tolist(), strict=True))


def test_every_voxel_is_where_the_scanner_says(case: dict[str, str], sample: Sample) -> None:
    loaded = load(case)
    for key, expected in (("image", sample.image), ("label", sample.label)):
        volume = loaded[key]
        found = world_values(volume.numpy()[0], np.asarray(volume.affine))
        assert found == world_values(expected.astype(float), sample.affine)


def test_slices_of_a_real_scanner(test_data: Path) -> None:
    """The series and the NIfTI of one CT, by another reader, are the same in RAS."""
    volume = LoadCased("image")({"image": str(test_data / "ct/dicom/amos_0013")})["image"]
    image = nib.Nifti1Image(volume.numpy()[0], np.asarray(volume.affine))
    here, there = (nib.as_closest_canonical(one) for one in (image, nib.load(test_data / "ct/images/amos_0013.nii.gz")))
    np.testing.assert_array_equal(here.get_fdata(), there.get_fdata())
    np.testing.assert_allclose(here.affine, there.affine, atol=1e-2)


def test_a_missing_slice_is_noticed(case: dict[str, str]) -> None:
    (Path(case["image"]) / f"{slice_name(4, 1)}.dcm").unlink()
    with pytest.raises(
        BadCaseError, match="3 slices 7 mm apart and 14 mm between IMG-0004-00004.dcm and IMG-0004-00002.dcm: 1 missing"
    ):
        load(case)


def test_labels_pair_by_name(case: dict[str, str]) -> None:
    lone = Path(case["label"]) / f"{slice_name(4, 1)}.png"
    lone.rename(lone.with_name("IMG-0004-00099.png"))
    with pytest.raises(BadCaseError, match="without a partner: IMG-0004-00003, IMG-0004-00099"):
        load(case)


def test_labels_of_another_size(case: dict[str, str]) -> None:
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(Path(case["label"]) / f"{slice_name(4, 1)}.png")
    with pytest.raises(BadCaseError, match=r"label images of shapes \[\(9, 7\), \(9, 8\)\]"):
        load(case)


def test_broken_and_empty_folders(case: dict[str, str], tmp_path: Path) -> None:
    (Path(case["image"]) / f"{slice_name(4, 1)}.dcm").write_bytes(b"no dicom")
    with pytest.raises(BadCaseError, match="1 missing") as error:
        load(case)
    assert "IMG-0004-00003.dcm: found a file that can't be read as DICOM" in error.value.remarks[0]
    with pytest.raises(BadCaseError, match="found 0 series of DICOM images"):
        load({"form": "dicom", "image": str(tmp_path / "Ground")})
