# SPDX-License-Identifier: Apache-2.0
"""Types and values of voxels."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from ..heart import AFFINE, SHAPE, block, image, save, voxels
from ..kind import OK, Handled, Kind, Maker, failed


def of_type(dtype: type, low: float = 10, high: float = 100) -> Maker:
    def make(folder: Path) -> np.ndarray:
        save(folder, voxels(dtype=dtype, low=low, high=high))
        return block()

    return make


def array_of(array: np.ndarray, truth: np.ndarray | None = None) -> Maker:
    def make(folder: Path) -> np.ndarray | None:
        save(folder, array)
        return truth

    return make


def with_voxel(value: float, dtype: type = np.float32) -> Maker:
    array = voxels(dtype=dtype)
    array[0, 0, 0] = value
    return array_of(array, block())


def scaled(slope: float, inter: float) -> Maker:
    """By the header; the file's own numbers stay as they are."""

    def make(folder: Path) -> np.ndarray:
        made = image()
        nib.save(made, folder / "x.nii")
        content = bytearray((folder / "x.nii").read_bytes())
        content[112:120] = np.array([slope, inter], "<f4").tobytes()
        (folder / "x.nii").write_bytes(content)
        return block() if not slope < 0 else ~block()

    return make


def structured(fields: list[tuple[str, str]]) -> Maker:
    def make(folder: Path) -> None:
        nib.save(nib.Nifti1Image(np.zeros(SHAPE, fields), AFFINE), folder / "x.nii.gz")

    return make


RGB, RGBA = ([(channel, "u1") for channel in channels] for channels in ("RGB", "RGBA"))
NOTHING = np.zeros(SHAPE, bool)
ONE_VOXEL = np.zeros(SHAPE, bool)
ONE_VOXEL[5, 7, 1] = True
NOT_REAL = failed("allowed: one real number per voxel")

KINDS = [
    *(
        Kind(f"voxels of type {np.dtype(dtype).name}", of_type(dtype), OK)
        for dtype in (
            np.uint8,
            np.int8,
            np.uint16,
            np.int16,
            np.uint32,
            np.int32,
            np.uint64,
            np.int64,
            np.float32,
            np.float64,
        )
    ),
    Kind("complex voxels", array_of(voxels(dtype=np.complex64)), NOT_REAL),
    Kind("RGB voxels", structured(RGB), NOT_REAL),
    Kind("RGBA voxels", structured(RGBA), NOT_REAL),
    Kind("scaled by the header", scaled(2.5, -1000), OK),
    Kind("scaled by a negative slope", scaled(-1, 0), OK),
    Kind("slope 0, which means none", scaled(0, 5), OK),
    Kind("slope NaN, which means none", scaled(np.nan, 0), OK),
    Kind("slope infinite, which means none", scaled(np.inf, 0), OK),
    Kind("intercept NaN", scaled(1, np.nan), failed("can't be read as a volume")),
    Kind("slope so large that voxels overflow", scaled(3e38, 0), failed("values as large as 3e+40")),
    Kind("slope so small that voxels vanish", scaled(1e-45, 0), OK),
    Kind("all 0", array_of(np.zeros(SHAPE, np.int16), NOTHING), OK),
    Kind("all one value", array_of(np.full(SHAPE, 7, np.int16), NOTHING), OK),
    Kind("all below 0", of_type(np.int16, -1000, -10), OK),
    Kind("full range of int16", of_type(np.int16, -32768, 32767), OK),
    Kind("full range of uint32", of_type(np.uint32, 0, 2**32 - 1), OK),
    Kind("values beyond 2^53 in int64", of_type(np.int64, -(2**62), 2**62), OK),
    Kind("values of 1e-40", of_type(np.float64, 0, 1e-40), Handled("ok")),
    Kind("values of 1e29", of_type(np.float32, 0, 1e29), OK),
    Kind("values of 1e31", of_type(np.float32, 0, 1e31), failed("values as large as 1e+31")),
    Kind("values of 1e300", of_type(np.float64, 0, 1e300), failed("values as large as 1e+300")),
    Kind("one voxel NaN", with_voxel(np.nan), failed("found 1 NaN and 0 infinite voxels")),
    Kind("one voxel infinite", with_voxel(np.inf), failed("found 0 NaN and 1 infinite voxels")),
    Kind("one voxel minus infinite", with_voxel(-np.inf, np.float64), failed("found 0 NaN and 1 infinite voxels")),
    Kind("one voxel 3e38", with_voxel(3e38), failed("values as large as 3e+38")),
    Kind("one voxel minus 0", with_voxel(-0.0), OK),
    Kind("all NaN", array_of(np.full(SHAPE, np.nan, np.float32)), failed("found 4320 NaN")),
    Kind("noise", array_of(np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)), OK),
]
