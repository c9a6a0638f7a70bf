# SPDX-License-Identifier: Apache-2.0
"""Which way up a volume is shown: radiological convention, found from the affine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, ornt_transform
from pranet_monai.geometry import orientation_of, plane_axis

__all__ = ["View", "voxel_sizes"]

# Where rows, columns and slices lead, by the direction that the slices are stacked along: the patient's right (or
# front, on a sagittal slice) is on the viewer's left, the front (or the head) is up, as on a radiology screen.
PLANES = {0: ("I", "P", "L"), 1: ("I", "L", "P"), 2: ("P", "L", "I")}
OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))


@dataclass(frozen=True)
class View:
    """The way from an array's axes to rows, columns and slices on the screen.

    Attributes:
        reorder: nibabel's orientation transform, from the stored axes to (row, column, slice), shape (3, 2).
        spacing: mm between rows, columns and slices.
        top: letter of the patient's side that is up (A, S ...), or "" for an RGB image.
        left: letter of the patient's side on the viewer's left.
    """

    reorder: np.ndarray
    spacing: tuple[float, float, float]
    top: str
    left: str

    @classmethod
    def of(cls, shape: tuple[int, ...], affine: np.ndarray | None) -> View:
        """Choose the view of a volume.

        Args:
            shape: (H, W, D) of the stored array.
            affine: voxel index to mm (RAS), shape (4, 4); ``None`` for an RGB image, stored as (column, row, 1).
        """
        is_image = affine is None
        matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else np.asarray(affine, dtype=float)
        stored = orientation_of(matrix)
        spacing = voxel_sizes(matrix)
        codes = PLANES[int(stored[plane_axis(shape, matrix), 0])]
        reorder = ornt_transform(stored, axcodes2ornt(codes))
        rows, columns, slices = (spacing[axis] for axis in np.argsort(reorder[:, 0]))
        top, left = ("", "") if is_image else (OPPOSITE[codes[0]], OPPOSITE[codes[1]])
        return cls(reorder, (rows, columns, slices), top, left)

    def apply(self, volume: np.ndarray) -> np.ndarray:
        """Turn a volume (H, W, D, ...) into (row, column, slice, ...)."""
        turned: np.ndarray = apply_orientation(volume, self.reorder)
        return turned

    def apply_to_box(self, box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Turn a box within a stored volume (H, W, D) into the same box within the shown one."""
        shown = [slice(0, 0)] * 3
        for span, size, (axis, direction) in zip(box, shape, self.reorder.astype(int), strict=True):
            shown[axis] = span if direction > 0 else slice(size - span.stop, size - span.start)
        return tuple(shown)

    def stored_index(self, index: int, count: int) -> int:
        """Index in the stored array of the slice that is shown as ``index`` of ``count``."""
        flipped = self.reorder[self.reorder[:, 0] == 2, 1][0] < 0
        return count - 1 - index if flipped else index


def voxel_sizes(affine: np.ndarray) -> tuple[float, float, float]:
    """Distance in mm between neighbouring voxels along each array axis, oblique affines included."""
    x, y, z = np.linalg.norm(np.asarray(affine, dtype=float)[:3, :3], axis=0)
    return float(x), float(y), float(z)
