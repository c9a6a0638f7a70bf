# SPDX-License-Identifier: Apache-2.0
"""Masks and label volumes with organ-like shapes, made from smoothed noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def blob_pair(seed: int, shape: tuple[int, ...] = (22, 26, 18), share: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Two masks that overlap in part; ``share`` of the volume is foreground. They reach the faces of the volume."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 2.5)
    other = field + 0.6 * ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
    return tuple(f > np.quantile(f, 1 - share) for f in (field, other))  # type: ignore[return-value]


def spacing_of(seed: int, dimensions: int = 3) -> tuple[float, ...]:
    """An anisotropic voxel size in mm."""
    return tuple(np.random.default_rng(seed).uniform(0.5, 5, dimensions).tolist())


def label_pair(seed: int, shape: tuple[int, ...] = (20, 24, 12), classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Two label volumes 0..classes-1 in which every organ is there."""
    prediction, reference = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for index in range(1, classes):
        for labels, mask in zip((prediction, reference), blob_pair(100 * seed + index, shape, 0.08)):
            labels[mask] = index
    return prediction, reference
