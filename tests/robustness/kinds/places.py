# SPDX-License-Identifier: Apache-2.0
"""Orientations, affines, spacings and units."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

from ..heart import AFFINE, PIXEL_MM, block, image, voxels
from ..kind import OK, Handled, Kind, Maker, failed, remarked

STRAIGHT = np.diag([PIXEL_MM, PIXEL_MM, 8, 1])


def turned(codes: str) -> Maker:
    def make(folder: Path) -> np.ndarray:
        straight = image(affine=STRAIGHT)
        turn = nib.orientations.ornt_transform(
            nib.io_orientation(straight.affine), nib.orientations.axcodes2ornt(codes)
        )
        nib.save(straight.as_reoriented(turn), folder / "x.nii.gz")
        return nib.orientations.apply_orientation(block(), turn)

    return make


def placed(affine: np.ndarray) -> Maker:
    """By the sform, which takes any matrix."""

    def make(folder: Path) -> np.ndarray:
        made = nib.Nifti1Image(voxels(), None)
        made.header.set_sform(affine, code=1)
        made.header["pixdim"][1:4] = np.linalg.norm(np.nan_to_num(affine)[:3, :3], axis=0)
        made.header.set_xyzt_units("mm")
        nib.save(made, folder / "x.nii.gz")
        return block()

    return make


def rotated(*degrees: float, spacing: tuple[float, ...] = (PIXEL_MM, PIXEL_MM, 8)) -> Maker:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.diag(spacing)
    return placed(affine)


def with_entry(row: int, column: int, value: float) -> Maker:
    affine = AFFINE.copy()
    affine[row, column] = value
    return placed(affine)


def spaced(*spacing: float) -> Maker:
    return placed(np.diag([*spacing, 1]))


def in_unit(unit: str, per_mm: float) -> Maker:
    def make(folder: Path) -> np.ndarray:
        made = image(affine=AFFINE * np.array([[per_mm]] * 3 + [[1]]))
        made.header.set_xyzt_units(unit, "sec")
        nib.save(made, folder / "x.nii.gz")
        return block()

    return make


def by_header(sform: int, qform: int, q_affine: np.ndarray = AFFINE, **fields: object) -> Maker:
    """Which of the two matrices a header states, and what else."""

    def make(folder: Path) -> np.ndarray:
        made = nib.Nifti1Image(voxels(), None)
        made.header.set_qform(q_affine, code=qform)
        made.header.set_sform(AFFINE, code=sform)
        made.header.set_xyzt_units("mm")
        nib.save(made, folder / "x.nii")
        patched = nib.Nifti1Header((folder / "x.nii").read_bytes()[:348], check=False)
        for name, value in fields.items():
            patched[name] = value
        (folder / "x.nii").write_bytes(patched.binaryblock + (folder / "x.nii").read_bytes()[348:])
        return block()

    return make


SHEARED = AFFINE.copy()
SHEARED[0, 1] = 0.4
NO_PLACE = failed("gives voxels no place in space")
NEITHER = "neither sform nor qform"
RESAMPLED = Handled("ok", overlap=0.75)
PIXDIM_0 = {"pixdim": np.array([1, 0, 0, 0, 1, 1, 1, 1])}

KINDS = [
    *(
        Kind(f"axes towards {''.join(codes)}", turned("".join(codes)), OK)
        for codes in itertools.islice(itertools.product("LR", "PA", "IS"), 8)
    ),
    *(Kind(f"axes towards {codes}", turned(codes), OK) for codes in ("PIR", "ASL", "SRA", "IPL", "SLP", "AIL")),
    Kind("oblique by 20 degrees", rotated(0, 20, 0), OK),
    Kind("doubly oblique", rotated(17, -31, 24), OK),
    Kind("turned by 45 degrees in the plane of a slice", rotated(0, 0, 45), OK),
    Kind("turned by 45 degrees out of it", rotated(45, 0, 0), OK),
    Kind("turned by 45 degrees, cubic voxels", rotated(0, 45, 0, spacing=(PIXEL_MM,) * 3), OK),
    Kind("turned by 45 degrees about all axes", rotated(45, 45, 45), OK),
    Kind("turned by a millionth of a degree", rotated(1e-6, 0, 0), OK),
    Kind("turned by 180 degrees", rotated(0, 180, 0), OK),
    Kind("sheared", placed(SHEARED), RESAMPLED),
    Kind("a metre off the centre", with_entry(0, 3, 1000.0), OK),
    Kind("1e30 mm off the centre", with_entry(0, 3, 1e30), OK),
    Kind("place not a number", with_entry(0, 3, np.nan), NO_PLACE),
    Kind("place infinite", with_entry(2, 3, np.inf), NO_PLACE),
    Kind("axis not a number", with_entry(0, 0, np.nan), NO_PLACE),
    Kind("axis of length 0", with_entry(2, 2, 0.0), NO_PLACE),
    Kind("two axes alike", placed(np.diag([1.35, 1.35, 8, 1])[[0, 0, 2, 3]]), NO_PLACE),
    Kind("matrix of zeros", placed(np.zeros((4, 4))), NO_PLACE),
    Kind(
        "axes a hundredth of a degree apart",
        placed(np.array([[1, 1, 0, 0], [0, 2e-4, 0, 0], [0, 0, 8, 0], [0, 0, 0, 1.0]])),
        Handled("ok", overlap=0),
    ),
    Kind("voxels of 0.3 x 0.3 x 20 mm", spaced(0.3, 0.3, 20), RESAMPLED),
    Kind("voxels of 5 x 2 x 5 mm", spaced(5, 2, 5), RESAMPLED),
    Kind("voxels of 1 mm", spaced(1, 1, 1), RESAMPLED),
    Kind(
        "voxels of a micron, called mm", spaced(0.001, 0.001, 0.001), failed("the header's voxel sizes must be in mm")
    ),
    Kind("voxels of a metre", spaced(1000, 1000, 1000), failed("the header's voxel sizes must be in mm")),
    Kind("voxels of 1e-20 mm", spaced(1e-20, 1e-20, 1e-20), failed("the header's voxel sizes must be in mm")),
    Kind("voxels of 1e20 mm", spaced(1e20, 1e20, 1e20), failed("the header's voxel sizes must be in mm")),
    Kind("lengths in microns", in_unit("micron", 1000), remarked("lengths of the header are in microns: converted")),
    Kind("lengths in metres", in_unit("meter", 0.001), remarked("lengths of the header are in metres: converted")),
    Kind("lengths in no unit", in_unit("unknown", 1), OK),
    Kind("qform alone", by_header(0, 1), OK),
    Kind("sform alone", by_header(1, 0), OK),
    Kind("neither sform nor qform", by_header(0, 0), remarked(NEITHER)),
    Kind("sizes of 0, neither sform nor qform", by_header(0, 0, **PIXDIM_0), remarked("0 was taken as 1 mm", 0.75)),
    Kind("sizes of 0 beside a sform", by_header(1, 0, **PIXDIM_0), OK),
    Kind("sizes below 0", by_header(0, 0, pixdim=np.array([1, -1.35, -1.35, -8, 1, 1, 1, 1])), remarked(NEITHER)),
    Kind("sizes not a number", by_header(0, 1, pixdim=np.array([1, np.nan, 1.35, 8, 1, 1, 1, 1])), NO_PLACE),
    Kind("sizes infinite", by_header(0, 1, pixdim=np.array([1, np.inf, 1.35, 8, 1, 1, 1, 1])), NO_PLACE),
    Kind(
        "sform and qform disagree in spacing",
        by_header(1, 1, np.diag([3, 3, 3, 1.0])),
        remarked("sform and qform disagree: voxels of"),
    ),
    Kind(
        "sform and qform disagree in side",
        by_header(1, 1, AFFINE * [[-1], [1], [1], [1]]),
        remarked("disagree on which side is left"),
    ),
    Kind(
        "quaternion longer than 1",
        by_header(0, 1, quatern_b=2.0, quatern_c=2.0),
        failed("that can't be read as a volume"),
    ),
    Kind("quaternion not a number", by_header(0, 1, quatern_b=np.nan), NO_PLACE),
    Kind("qfac 0", by_header(0, 1, pixdim=np.array([0, 1.35, 1.35, 8, 1, 1, 1, 1])), OK),
    Kind("time offset not a number", by_header(1, 1, toffset=np.nan), OK),
    Kind("codes of sform and qform unknown", by_header(1, 1, sform_code=99, qform_code=77), OK),
]
