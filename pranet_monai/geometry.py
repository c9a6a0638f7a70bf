# SPDX-License-Identifier: Apache-2.0
"""What an affine says of a volume: the one rule for which way its slices lie, for networks and for pictures alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nibabel.orientations import io_orientation

__all__ = ["ANATOMICAL_AXES", "THROUGH_PLANE", "plane_axis"]

ANATOMICAL_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}  # plane → the world axis (R, A, S) that is normal to it
THROUGH_PLANE = "through_plane"
STACK_RATIO = 1.5  # slices at least this much further apart than pixels are a stack


def plane_axis(shape: Sequence[int], affine: np.ndarray, plane: str = THROUGH_PLANE) -> int:
    """The axis (0, 1, 2) of a volume's array that is normal to a plane; on an oblique grid the closest one.

    Args:
        shape: ``(H, W, D)``; further dimensions are ignored.
        affine: voxel index to mm (RAS), ``(4, 4)``.
        plane: ``"axial"``, ``"coronal"``, ``"sagittal"``; or ``"through_plane"``, the axis along which the volume was
            acquired slice by slice: that of its only slice, or the one whose spacing is clearly the coarsest; where
            nothing tells, as for ``"axial"``.
    """
    if plane != THROUGH_PLANE:
        return int(np.flatnonzero(io_orientation(affine)[:, 0] == ANATOMICAL_AXES[plane])[0])
    single = np.flatnonzero(np.array(shape[:3]) == 1)
    if len(single) == 1:
        return int(single[0])
    spacings = np.linalg.norm(affine[:3, :3], axis=0)
    *_, middle, coarsest = np.argsort(spacings)
    if spacings[coarsest] >= STACK_RATIO * spacings[middle]:
        return int(coarsest)
    return plane_axis(shape, affine, "axial")
