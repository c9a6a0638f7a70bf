# SPDX-License-Identifier: Apache-2.0
"""Cases that lie in memory, not in a file: given what a reader of files would give."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import ImageMetaKey
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.grid import FRAMES, ORIGINAL_SHAPE, checked_affine, finite_voxels, volume_tensor

__all__ = ["image_in_memory", "volume_in_memory"]

SOURCE = "array"
"""What stands where a file's name would."""


def volume_in_memory(voxels: np.ndarray | torch.Tensor, affine: np.ndarray | torch.Tensor | None = None) -> MetaTensor:
    """A volume as ``Form.read_image`` gives one.

    Args:
        voxels: an array as nibabel has it, (H, W), (H, W, D) or (H, W, D, T); or a MetaTensor, whose four axes are
            MONAI's (C, H, W, D), the channels being frames.
        affine: voxel to RAS mm, 4 x 4; default: the MetaTensor's own.

    Returns:
        (1 or frames, H, W, D), float32.

    Raises:
        BadCaseError: without an affine, and for whatever a file is refused for.
    """
    if isinstance(voxels, MetaTensor):
        affine = voxels.affine if affine is None else affine
        array = _real_numbers(voxels.as_tensor()).detach().cpu()
        array = array.movedim(0, -1) if array.ndim == 4 else array
        array = array[..., 0] if array.ndim == 4 and array.shape[-1] == 1 else array
    else:
        array = _real_numbers(voxels)
    if affine is None:
        raise BadCaseError(f"{SOURCE}: found no affine; fix: give affine, the 4 x 4 matrix from voxels to RAS mm")
    if array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise BadCaseError(
            f"{SOURCE}: found shape {tuple(array.shape)}; allowed: (H, W), (H, W, D) or (H, W, D, T), each 1 or more"
        )
    array = finite_voxels(SOURCE, array)
    meta = {ORIGINAL_SHAPE: np.asarray(array.shape)}
    if array.ndim == 4:
        meta[FRAMES] = np.arange(array.shape[3])
        array = array.permute(3, 0, 1, 2)
    else:
        array = array.reshape(1, *array.shape, *(1,) * (3 - array.ndim))
    return volume_tensor(SOURCE, array, checked_affine(SOURCE, np.asarray(affine, dtype=np.float64)), meta)


def image_in_memory(pixels: np.ndarray | torch.Tensor) -> MetaTensor:
    """An RGB image as ``Form.read_image`` gives one.

    Args:
        pixels: an array (H, W, 3) as Pillow has it; or a MetaTensor (3, H, W); 0 to 255.

    Returns:
        (3, H, W), float32.

    Raises:
        BadCaseError: for another shape, or values outside of 0 to 255.
    """
    array = _real_numbers(pixels)
    array = array if isinstance(pixels, MetaTensor) else array.movedim(-1, 0)
    array = finite_voxels(SOURCE, array.as_subclass(torch.Tensor).detach().cpu())
    if array.ndim != 3 or array.shape[0] != 3 or 0 in array.shape:
        raise BadCaseError(
            f"{SOURCE}: found shape {tuple(pixels.shape)}; allowed: (H, W, 3), of a MetaTensor (3, H, W)"
        )
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 255 or 0 < high <= 1:
        raise BadCaseError(f"{SOURCE}: found values from {low:.3g} to {high:.3g}; allowed: RGB in 0 to 255")
    return MetaTensor(array.contiguous(), meta={ImageMetaKey.FILENAME_OR_OBJ: SOURCE})


def _real_numbers(array: np.ndarray | torch.Tensor) -> torch.Tensor:
    """As a tensor, whatever the order of the bytes.

    Raises:
        BadCaseError: for numbers of which a change of type would silently drop a part.
    """
    is_real = array.dtype.kind in "biuf" if isinstance(array, np.ndarray) else not torch.is_complex(array)
    if not is_real:
        raise BadCaseError(
            f"{SOURCE}: found numbers of type {array.dtype}; allowed: real ones; fix: give a channel, or the magnitude"
        )
    if isinstance(array, np.ndarray):
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return torch.as_tensor(array)
