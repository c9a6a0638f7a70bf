# SPDX-License-Identifier: Apache-2.0
"""What an affine says of a volume: the one rule for which way its slices lie, for networks and for pictures alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nibabel.orientations import io_orientation

__all__ = ["ANATOMICAL_AXES", "STACK_RATIO", "THROUGH_PLANE", "orientation_of", "plane_axis", "turn_between"]

ANATOMICAL_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}  # plane → the world axis (R, A, S) that is normal to it
THROUGH_PLANE = "through_plane"
# of 0.002 degrees, about no axis of anything
_HAIR = np.eye(3) + 1e-5 * np.array([[0, 3, 2], [-3, 0, -1], [-2, 1, 0]])
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
        return int(np.flatnonzero(orientation_of(affine)[:, 0] == ANATOMICAL_AXES[plane])[0])
    single = np.flatnonzero(np.array(shape[:3]) == 1)
    if len(single) == 1:
        return int(single[0])
    spacings = np.linalg.norm(affine[:3, :3], axis=0)
    *_, middle, coarsest = np.argsort(spacings)
    if spacings[coarsest] >= STACK_RATIO * spacings[middle]:
        return int(coarsest)
    return plane_axis(shape, affine, "axial")


def orientation_of(affine: np.ndarray) -> np.ndarray:
    """Which direction of the body each axis of an array is closest to, and which way it runs: nibabel's answer.

    Where axes are equally close to one, as on a grid turned by 45 degrees, nibabel lets the order of the array and the
    last digits of the header decide. So the grid is turned by a hair first, by far less than a scanner can and by far
    more than headers round: the same physical axis then wins in every order of the array.

    Args:
        affine: voxel index to mm (RAS), ``(4, 4)``.

    Returns:
        For each axis its direction (0: R, 1: A, 2: S), and 1 or -1, ``(3, 2)``.
    """
    turned = np.eye(4)
    turned[:3, :3] = _HAIR @ affine[:3, :3]
    found: np.ndarray = io_orientation(turned)
    return found


def turn_between(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The way from the axes of one grid to those of another that is the same but for their order and direction.

    Args:
        found: affine ``(4, 4)`` of the one.
        wanted: of the other.

    Returns:
        nibabel's orientation transform, ``(3, 2)``.
    """
    turn: np.ndarray = io_orientation(np.linalg.inv(wanted) @ found)
    return turn
