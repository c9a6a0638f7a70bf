# SPDX-License-Identifier: Apache-2.0
"""A volume whose mask is known, and the network that finds it: class 1 is whatever is brighter than the mean."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import torch

SHAPE = (40, 36, 3)
PIXEL_MM = 1.35  # of what the network sees as well: nothing is resampled
AFFINE = np.array([[-PIXEL_MM, 0, 0, 31], [0, PIXEL_MM, 0, -7], [0, 0, 8, 12.5], [0, 0, 0, 1]])


class Bright(torch.nn.Module):
    """Logits ``(B, classes, H, W)`` of images ``(B, C, H, W)``; of one class its logit alone."""

    def __init__(self, in_channels: int = 1, out_channels: int = 4) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Positive where the first channel is."""
        x = x[:, :1]
        if self.out_channels == 1:
            return x
        rest = torch.full((x.shape[0], self.out_channels - 2, *x.shape[2:]), -1e4, dtype=x.dtype)
        return torch.cat([-x, x, rest], dim=1)


def block(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A foreground of one piece that no turn and no mirroring maps onto itself, one half and more of each axis."""
    found = np.zeros(shape, bool)
    found[tuple(slice(length // 4, max(1, length // 4 + length // 2)) for length in shape)] = True
    if min(shape[:2]) > 8:
        found[shape[0] // 4 : shape[0] // 2, shape[1] // 8 : shape[1] // 2] = True
    return found


def voxels(
    shape: tuple[int, ...] = SHAPE, dtype: type | str = np.int16, low: float = 10, high: float = 100
) -> np.ndarray:
    return np.where(block(shape), high, low).astype(dtype)


def image(array: np.ndarray | None = None, affine: np.ndarray | None = AFFINE) -> nib.Nifti1Image:
    array = voxels() if array is None else array
    made = nib.Nifti1Image(array, affine, dtype=array.dtype)
    if affine is not None:
        made.set_sform(affine, code=1)
        made.set_qform(affine, code=1)
    made.header.set_xyzt_units("mm", "sec")
    return made


def save(folder: Path, array: np.ndarray | None = None, affine: np.ndarray = AFFINE, name: str = "x.nii.gz") -> Path:
    nib.save(image(array, affine), folder / name)
    return folder / name
