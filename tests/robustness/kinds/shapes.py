# SPDX-License-Identifier: Apache-2.0
"""Dimensions and sizes."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from ..heart import AFFINE, PIXEL_MM, block, save, voxels
from ..kind import OK, Handled, Kind, Maker, failed

ISOTROPIC = np.diag([PIXEL_MM] * 3 + [1])


def of_shape(*shape: int, affine: np.ndarray = AFFINE) -> Maker:
    def make(folder: Path) -> np.ndarray:
        save(folder, voxels(shape), affine)
        return block(shape)

    return make


def empty(*shape: int) -> Maker:
    return lambda folder: save(folder, np.zeros(shape, np.int16)) and None


TOO_MANY = failed("allowed: 2 (one slice), 3 (a volume)")
NO_AXIS = failed("with an axis of size 0")

KINDS = [
    Kind("one slice, 2D", of_shape(40, 36), OK),
    Kind("one slice, 3D", of_shape(40, 36, 1), OK),
    Kind("one slice along the first axis", of_shape(1, 40, 36), Handled("ok", overlap=0.5)),
    Kind("one slice along the second axis", of_shape(40, 1, 36), Handled("ok", overlap=0.5)),
    Kind("one row of voxels", of_shape(40, 1, 1), OK),
    Kind("one voxel", of_shape(1, 1, 1), Handled("ok", overlap=0)),
    Kind("one voxel, 2D", of_shape(1, 1), Handled("ok", overlap=0)),
    Kind("two by two by two voxels", of_shape(2, 2, 2), Handled("ok", overlap=0)),
    Kind("odd lengths", of_shape(41, 37, 3), OK),
    Kind("slices far longer than wide", of_shape(900, 5, 2), OK),
    Kind("a hundred slices", of_shape(12, 12, 100), OK),
    Kind("cubic voxels", of_shape(36, 40, 20, affine=ISOTROPIC), OK),
    Kind("cine of one frame", of_shape(40, 36, 3, 1), OK),
    Kind("cine of two frames", of_shape(40, 36, 3, 2), Handled("ok", rows=2)),
    Kind("cine of twelve frames", of_shape(20, 20, 2, 12), Handled("ok", rows=12)),
    Kind("cine of one slice", of_shape(40, 36, 1, 2), Handled("ok", rows=2)),
    Kind(
        "1D",
        lambda folder: nib.save(nib.Nifti1Image(voxels((40, 1))[:, 0], AFFINE), folder / "x.nii.gz"),
        failed("found an array of 1 dimensions"),
    ),
    Kind("5D, three values per voxel", of_shape(20, 20, 3, 1, 3), TOO_MANY),
    Kind("5D, one value per voxel", of_shape(20, 20, 3, 2, 1), TOO_MANY),
    Kind("6D", of_shape(8, 8, 2, 2, 2, 2), TOO_MANY),
    Kind("7D", of_shape(4, 4, 2, 2, 2, 2, 2), TOO_MANY),
    Kind("no slice", empty(40, 36, 0), NO_AXIS),
    Kind("no row", empty(0, 36, 3), NO_AXIS),
    Kind("no frame", empty(40, 36, 3, 0), NO_AXIS),
]
