# SPDX-License-Identifier: Apache-2.0
"""Resizing as in the papers, on the device: slices and label maps like ``scipy.ndimage.zoom``, RGB images like Pillow.

Spline zoom is linear and separable, so along one axis it is a matrix that depends on the two lengths only. scipy itself
makes that matrix, once per pair of lengths, by zooming the identity; a batch of planes then costs two matrix products.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import ensure_tuple_rep
from scipy.ndimage import zoom
from torch import Tensor

__all__ = ["ResizePlanesd", "ZoomPlanesd", "resize_planes", "zoom_planes"]

_SPLINES = (1, 3)
_CACHE_SIZE = 64  # pairs of lengths; a matrix 512 → 224 takes 0.5 MB


def zoom_planes(planes: Tensor, size: Sequence[int], order: int) -> Tensor:
    """Resize planes as ``scipy.ndimage.zoom(plane, (h / H, w / W), order=order)`` does, all of them at once.

    scipy maps corner pixel to corner pixel and does not smooth where it shrinks. For some pairs of lengths its rounding
    puts the last row or column outside the plane and leaves zeros there; so does this function.

    Args:
        planes: ``(..., H, W)``; floating point for orders 3 and 1, any type for order 0.
        size: ``(h, w)`` wanted.
        order: 3 (cubic spline), 1 (linear) or 0 (nearest, for label maps).

    Returns:
        ``(..., h, w)`` of the same type. Splines equal scipy to about 1e-6 of the range of values in float32.

    Raises:
        ValueError: another order, a spline on integers, a plane or a size without pixels.
    """
    height, width = _checked_size(planes, size)
    if (height, width) == planes.shape[-2:]:
        return planes
    if order == 0:
        return _nearest(planes, height, width)
    if order not in _SPLINES:
        raise ValueError(f"zoom order {order} is unknown: 3 (cubic spline), 1 (linear) or 0 (nearest)")
    if not planes.is_floating_point():
        raise ValueError(f"zoom of order {order} needs floating-point planes, got {planes.dtype}; labels go by order 0")
    return _spline(planes, height, width, order)


def resize_planes(planes: Tensor, size: Sequence[int]) -> Tensor:
    """Resize planes bilinearly, as Pillow does: where they shrink every pixel counts instead of four.

    Args:
        planes: ``(B, C, H, W)``, floating point.
        size: ``(h, w)`` wanted.

    Returns:
        ``(B, C, h, w)``.
    """
    return F.interpolate(planes, size=tuple(size), mode="bilinear", antialias=True)


class ResizePlanesd(MapTransform):
    """:func:`resize_planes` on the images of a dictionary.

    Args:
        keys: keys of the images, floating-point tensors ``(C, H, W)``.
        size: ``(h, w)`` wanted.
        allow_missing_keys: don't fail if a key is missing.
    """

    def __init__(self, keys: KeysCollection, size: Sequence[int], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size = tuple(size)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data with its images at the wanted size, as plain tensors."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = resize_planes(torch.as_tensor(d[key]).as_subclass(Tensor)[None], self.size)[0]
        return d


class ZoomPlanesd(MapTransform):
    """:func:`zoom_planes` on the slices of a dictionary.

    Args:
        keys: keys of the slices, tensors ``(C, H, W)``.
        size: ``(h, w)`` wanted.
        order: 3, 1 or 0, one for all keys or one for each.
        allow_missing_keys: don't fail if a key is missing.

    Raises:
        ValueError: see :func:`zoom_planes`.
    """

    def __init__(
        self, keys: KeysCollection, size: Sequence[int], order: int | Sequence[int], allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size = tuple(size)
        self.order = ensure_tuple_rep(order, len(self.keys))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data with its slices at the wanted size, as plain tensors."""
        d = dict(data)
        for key, order in self.key_iterator(d, self.order):
            d[key] = zoom_planes(torch.as_tensor(d[key]).as_subclass(Tensor), self.size, order)
        return d


def _checked_size(planes: Tensor, size: Sequence[int]) -> tuple[int, int]:
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"zoom size {tuple(size)} must be two positive numbers (height, width)")
    if planes.ndim < 2 or min(planes.shape[-2:]) < 1:
        raise ValueError(f"zoom needs planes (..., H, W) with at least one pixel, got shape {tuple(planes.shape)}")
    return int(size[0]), int(size[1])


def _spline(planes: Tensor, height: int, width: int, order: int) -> Tensor:
    # Autocast would run the products in half precision, and float16 planes would lose digits: at least float32 here.
    with torch.autocast(planes.device.type, enabled=False):
        values = planes.to(torch.promote_types(planes.dtype, torch.float32))
        rows = _spline_matrix(planes.shape[-2], height, order, values.dtype, values.device)
        columns = _spline_matrix(planes.shape[-1], width, order, values.dtype, values.device)
        return (rows @ values @ columns.mT).to(planes.dtype)


def _nearest(planes: Tensor, height: int, width: int) -> Tensor:
    rows = _nearest_index(planes.shape[-2], height, planes.device)
    columns = _nearest_index(planes.shape[-1], width, planes.device)
    outside = (rows < 0).unsqueeze(1) | (columns < 0)  # index -1 reads the last pixel, which then becomes 0
    return planes[..., rows, :][..., columns].masked_fill_(outside, 0)


# The cached tensors outlive the call: if a first call under inference_mode made them, gradients could not pass later.
@lru_cache(_CACHE_SIZE)
@torch.inference_mode(False)
def _spline_matrix(length: int, new_length: int, order: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``(new_length, length)``: the weights of every old pixel in every new one."""
    return torch.from_numpy(zoom(np.eye(length), (new_length / length, 1), order=order)).to(device, dtype)


@lru_cache(_CACHE_SIZE)
@torch.inference_mode(False)
def _nearest_index(length: int, new_length: int, device: torch.device) -> Tensor:
    """``(new_length,)``: the old index that each new pixel copies; -1 where scipy falls outside and writes 0."""
    return torch.from_numpy(zoom(np.arange(1, length + 1), new_length / length, order=0) - 1).to(device)
