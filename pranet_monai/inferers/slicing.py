# SPDX-License-Identifier: Apache-2.0
"""Volumes seen as stacks of 2D slices: which axis to cut along, how fine a slice is, and the cut itself (a view)."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor
from nibabel.orientations import io_orientation
from torch import Tensor

from pranet_monai.errors import BadCaseError

__all__ = ["ANATOMICAL_AXES", "as_slices", "in_plane_spacing", "slicing_axis"]

ANATOMICAL_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}  # plane → the world axis (R, A, S) that is normal to it
_SPACING_TOLERANCE = 1e-3  # relative; headers store spacings as float32


def slicing_axis(inputs: Tensor, axis: str | int) -> int:
    """The spatial axis (0, 1, 2) normal to the wanted plane; on an oblique grid the closest one.

    Args:
        inputs: ``(B, C, H, W, D)``, or ``(B, C, H, W)``, whose slices lie along an axis 2 that is to be added.
        axis: ``"axial"``, ``"coronal"``, ``"sagittal"``, or the axis itself as a number.

    Raises:
        BadCaseError: the volumes of the batch are oriented differently, or their affine is unusable.
    """
    if inputs.ndim == 4:
        return 2
    if not isinstance(axis, str):
        return axis
    world = ANATOMICAL_AXES[axis]
    found = {int(np.flatnonzero(io_orientation(matrix)[:, 0] == world)[0]) for matrix in _affines(inputs)}
    if len(found) > 1:
        raise BadCaseError(f"the {axis} axis differs inside the batch (axes {sorted(found)}): orient the volumes first")
    return found.pop()


def in_plane_spacing(inputs: Tensor, axis: int) -> tuple[float, float]:
    """Distance in mm between the rows and between the columns of slices cut along ``axis``.

    Raises:
        BadCaseError: the volumes of the batch differ, or their affine is unusable.
    """
    spacings = np.delete(np.linalg.norm(_affines(inputs)[:, :3, :3], axis=1), axis, axis=1)
    if not np.allclose(spacings, spacings[0], rtol=_SPACING_TOLERANCE):
        found = spacings.round(4).tolist()
        raise BadCaseError(f"in-plane spacing differs inside the batch, {found} mm: use batches of one")
    return float(spacings[0, 0]), float(spacings[0, 1])


def _affines(inputs: Tensor) -> np.ndarray:
    """Voxel-to-world matrices ``(B, 4, 4)``, RAS; identity for a plain tensor, as MONAI takes it."""
    affine = inputs.affine if isinstance(inputs, MetaTensor) else torch.eye(4)
    matrices = affine.detach().cpu().double().numpy()
    usable = matrices.shape[-2:] == (4, 4) and np.isfinite(matrices).all()
    if not usable or (np.linalg.matrix_rank(matrices[..., :3, :3]) < 3).any():
        raise BadCaseError(f"the affine must be a finite, invertible 4 x 4 matrix, got\n{affine}")
    return matrices.reshape(-1, 4, 4)


def as_slices(volume: Tensor, axis: int, channels: int) -> Tensor:
    """Cut a batch into slices without copying; frames that came as channels become a dimension of their own.

    Args:
        volume: ``(B, T * C, H, W, D)``, or ``(B, T * C, H, W)``, images that are one slice each.
        axis: spatial axis to cut along.
        channels: C, the channels of one frame.

    Returns:
        View ``(B, T, S, C, h, w)`` of S slices, whose rows and columns are the other two axes in their order.
    """
    if volume.ndim == 4:
        volume, axis = volume.unsqueeze(-1), 2
    return volume.unflatten(1, (-1, channels)).movedim(axis + 3, 2)
