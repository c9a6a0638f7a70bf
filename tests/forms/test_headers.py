# SPDX-License-Identifier: Apache-2.0
"""Headers that lie are converted, remarked on or refused, and the mask still goes back with the header of the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError
from pranet_monai.forms import FORMS
from pranet_monai.forms.provenance import Provenance
from pranet_monai.forms.remarks import remarks_of

ORGAN = LabelMap("demo", {0: "background", 1: "organ"}, {0: (0, 0, 0), 1: (9, 9, 9)})
VOLUME = FORMS["volume_file"]
VOXELS = np.random.default_rng(0).integers(0, 2, (6, 5, 4)).astype(np.int16)


def volume(spacing: float = 10.0, voxels: np.ndarray = VOXELS) -> nib.Nifti1Image:
    image = nib.Nifti1Image(voxels, np.diag([spacing, spacing, spacing, 1]))
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    return image


def patch(path: Path, *changes: tuple[int, bytes]) -> Path:
    """Overwrites bytes of a header, as no library would write it."""
    content = bytearray(path.read_bytes())
    for offset, value in changes:
        content[offset : offset + len(value)] = value
    path.write_bytes(content)
    return path


def read(path: Path) -> MetaTensor:
    return VOLUME.read_image({"image": path})


def mask_of(image: MetaTensor, path: Path) -> nib.Nifti1Image:
    """The image's voxels as a mask, written and opened."""
    VOLUME.write_mask(path, MetaTensor(image.to(torch.uint8), meta=image.meta), ORGAN, Provenance("", ""))
    return nib.load(path)


def test_an_honest_file_has_no_remark(tmp_path: Path) -> None:
    nib.save(volume(), tmp_path / "x.nii.gz")
    assert remarks_of(read(tmp_path / "x.nii.gz")) == []


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1e-3), ("meter", 1e3)])
def test_other_units_become_mm_for_us_and_stay_in_the_mask(tmp_path: Path, unit: str, factor: float) -> None:
    image = volume()
    image.header.set_xyzt_units(unit, "sec")
    nib.save(image, tmp_path / "x.nii.gz")
    seen = read(tmp_path / "x.nii.gz")
    assert np.allclose(np.diag(seen.affine), [10 * factor] * 3 + [1])
    (remark,) = remarks_of(seen)
    assert remark.startswith(f"lengths of the header are in {unit.replace('meter', 'metre')}s: converted to mm")
    mask = mask_of(seen, tmp_path / "x_seg.nii.gz")
    assert mask.header.get_xyzt_units()[0] == unit
    for field in ("pixdim", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "xyzt_units", "dim"):
        assert np.array_equal(mask.header[field], image.header[field]), field
    assert np.array_equal(np.asarray(mask.dataobj), VOXELS)


def test_sizes_of_zero_are_remarked(tmp_path: Path) -> None:
    """They aren't refused: many slices exported from pictures have no size, and their masks are good in voxels."""
    nib.save(volume(), tmp_path / "x.nii")
    no_codes, no_sizes = (252, bytes(4)), (80, bytes(12))
    seen = read(patch(tmp_path / "x.nii", no_codes, no_sizes))
    assert np.allclose(np.linalg.norm(seen.affine[:3, :3], axis=0), 1)
    assert remarks_of(seen) == [
        "the header gives voxels of 0 x 0 x 0 and no sform: 0 was taken as 1 mm, lengths and volumes are not reliable",
        "the header has neither sform nor qform: first axis taken as right to left",
    ]


def test_sform_and_qform_that_disagree_in_spacing(tmp_path: Path) -> None:
    image = volume()
    image.set_sform(np.diag([3.0, 3, 3, 1]), code=1)
    image.header["pixdim"][1:4] = 2
    nib.save(image, tmp_path / "x.nii.gz")
    seen = read(tmp_path / "x.nii.gz")
    assert np.allclose(np.diag(seen.affine), [3, 3, 3, 1])
    assert remarks_of(seen) == ["sform and qform disagree: voxels of 3 x 3 x 3 and 2 x 2 x 2; the sform was used"]


def test_sform_and_qform_that_disagree_in_side(tmp_path: Path) -> None:
    image = volume()
    image.set_qform(np.diag([-10.0, 10, 10, 1]), code=1)
    nib.save(image, tmp_path / "x.nii.gz")
    assert remarks_of(read(tmp_path / "x.nii.gz")) == [
        "sform and qform disagree on which side is left; the sform was used"
    ]


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_voxels_begin_behind_the_header(tmp_path: Path, name: str) -> None:
    """nibabel takes the header's 352 bytes for the first 176 voxels where vox_offset is 0."""
    nib.save(volume(), tmp_path / "right.nii")
    content = patch(tmp_path / "right.nii", (108, bytes(4))).read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    seen = read(tmp_path / name)
    assert np.array_equal(seen.numpy()[0], VOXELS)
    shifted = np.asarray(nib.load(tmp_path / name).dataobj)
    assert np.array_equal(shifted.flatten("F"), np.frombuffer(content, "<i2")[: VOXELS.size])
    assert remarks_of(seen) == ["vox_offset is 0: voxels read from byte 352, behind the header"]
    mask = mask_of(seen, tmp_path / "mask.nii.gz")
    assert np.array_equal(np.asarray(mask.dataobj), VOXELS) and np.array_equal(mask.affine, volume().affine)


def test_voxels_with_a_scale_begin_behind_the_header(tmp_path: Path) -> None:
    image = volume()
    image.header.set_slope_inter(2, 1)
    nib.save(image, tmp_path / "x.nii")
    expected = nib.load(tmp_path / "x.nii").get_fdata()
    seen = read(patch(tmp_path / "x.nii", (108, bytes(4))))
    assert np.array_equal(seen.numpy()[0], expected) and set(np.unique(expected)) == {1, 3}


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_slices_behind_those_that_are_claimed(tmp_path: Path, name: str) -> None:
    nib.save(volume(), tmp_path / "whole.nii")
    content = patch(tmp_path / "whole.nii", (46, np.int16(3).tobytes())).read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    seen = read(tmp_path / name)
    assert np.array_equal(seen.numpy()[0], VOXELS[..., :3])
    assert remarks_of(seen) == [
        "the file holds 60 bytes behind the 6 x 5 x 3 voxels that its header claims, enough for 1 more slices: left out"
    ]


def test_padding_is_no_remark(tmp_path: Path) -> None:
    nib.save(volume(), tmp_path / "x.nii")
    (tmp_path / "x.nii").write_bytes((tmp_path / "x.nii").read_bytes() + bytes(20))
    assert remarks_of(read(tmp_path / "x.nii")) == []


@pytest.mark.parametrize("name", ["x.nii.gz", "x.mha", "x.npz"])
def test_values_beyond_float32_are_called_by_their_size(tmp_path: Path, name: str) -> None:
    voxels = VOXELS.astype(np.float64)
    voxels[0, 0, 0] = -1e300
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez(path, image=voxels)
    elif name.endswith("mha"):
        sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    else:
        nib.save(volume(voxels=voxels), path)
    form = FORMS["array_file"] if name.endswith("npz") else VOLUME
    with pytest.raises(BadCaseError, match=rf"{name}: found values as large as 1e\+300; allowed: up to 1e\+30"):
        form.read_image({"image": path})


def test_a_refused_file_keeps_its_remarks(tmp_path: Path) -> None:
    voxels = VOXELS.astype(np.float32)
    voxels[0, 0, 0] = np.nan
    image = volume(voxels=voxels)
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "x.nii.gz")
    with pytest.raises(BadCaseError, match="1 NaN") as caught:
        read(tmp_path / "x.nii.gz")
    assert "microns" in caught.value.remarks[0]
