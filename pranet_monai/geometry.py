# SPDX-License-Identifier: Apache-2.0
"""What an affine says of a volume: the one rule for which way its slices lie, for networks and for pictures alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nibabel.orientations import io_orientation

__all__ = ["ANATOMICAL_AXES", "STACK_RATIO", "THROUGH_PLANE", "plane_axis"]

ANATOMICAL_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}  # plane → the world axis (R, A, S) that is normal to it
THROUGH_PLANE = "through_plane"
_DIGITS = 4  # of a direction cosine: 0.006 degrees
STACK_RATIO = 1.5  # slices at least this much further apart than pixels are a stack


def plane_axis(shape: Sequence[int], affine: np.ndarray, plane: str = THROUGH_PLANE) -> int:
    """The axis (0, 1, 2) of a volume's array that is normal to a plane; on an oblique grid the closest one.

    Args:
        shape: ``(H, W, D)``; further dimensions are ignored.
        affine: voxel index to mm (RAS), ``(4, 4)``.
        plane: ``"axial"``, ``"coronal"``, ``"sagittal"``; or ``"through_plane"``, the axis along which the volume was
            acquired slice by slice: that of its only slice, or the one whose spacing is clearly the coarsest; where
            nothing tells, as for ``"axial"``. On a grid turned by exactly 45 degrees two axes are equally close: the
            choice then depends on where they point, not on the order in which the file holds them.
    """
    if plane != THROUGH_PLANE:
        return _axis_along(affine, ANATOMICAL_AXES[plane])
    single = np.flatnonzero(np.array(shape[:3]) == 1)
    if len(single) == 1:
        return int(single[0])
    spacings = np.linalg.norm(affine[:3, :3], axis=0)
    *_, middle, coarsest = np.argsort(spacings)
    if spacings[coarsest] >= STACK_RATIO * spacings[middle]:
        return int(coarsest)
    return plane_axis(shape, affine, "axial")


def _axis_along(affine: np.ndarray, world: int) -> int:
    """The array's axis that runs along a world axis (R, A, S), the same physical one whatever the order of the array.

    nibabel lets the order decide between axes that are equally close. So it gets them in an order of their own, by
    where they point, and rounded, as headers hold the same directions with other last digits in each order.
    """
    edges = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    directions = [_without_sign(np.round(edge, _DIGITS)) for edge in edges.T]
    order = sorted(range(3), key=lambda axis: tuple(directions[axis]))
    canonical = np.eye(4)
    canonical[:3, :3] = np.stack([directions[axis] for axis in order], axis=1)
    return order[int(np.flatnonzero(io_orientation(canonical)[:, 0] == world)[0])]


def _without_sign(direction: np.ndarray) -> np.ndarray:
    """The direction or its opposite, whichever has its first component that isn't 0 above 0."""
    first = direction[np.flatnonzero(direction)[0]]
    return direction * np.sign(first) + 0.0  # no -0.0
