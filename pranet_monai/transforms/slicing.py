# SPDX-License-Identifier: Apache-2.0
"""Volumes seen as stacks of 2D slices: the axis to cut along, how fine a slice is, the cut, and its neighbours."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Orientation
from nibabel.orientations import aff2axcodes, io_orientation
from torch import Tensor

from pranet_monai.errors import BadCaseError, UsageError

__all__ = [
    "ANATOMICAL_AXES",
    "THROUGH_PLANE",
    "SliceAxisLastd",
    "as_slices",
    "in_plane_spacing",
    "neighbours",
    "slicing_axis",
]

ANATOMICAL_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}  # plane → the world axis (R, A, S) that is normal to it
THROUGH_PLANE = "through_plane"
_SPACING_TOLERANCE = 1e-3  # relative; headers store spacings as float32
_STACK_RATIO = 1.5  # slices this much further apart than pixels are a stack


def slicing_axis(inputs: Tensor, axis: str | int) -> int:
    """The spatial axis (0, 1, 2) normal to the wanted plane; on an oblique grid the closest one.

    Args:
        inputs: ``(B, C, H, W, D)``, or ``(B, C, H, W)``, to which an axis 2 of one slice is to be added.
        axis: ``"axial"``, ``"coronal"``, ``"sagittal"``; ``"through_plane"``, the axis along which a stack was
            acquired (its only slice, or the clearly coarsest spacing; axial where neither tells), right for oblique
            stacks such as short-axis views; or the axis itself as a number.

    Raises:
        BadCaseError: the volumes of the batch are oriented differently, or their affine is unusable.
    """
    if inputs.ndim == 4:
        return 2
    if not isinstance(axis, str):
        return axis
    found = {_axis_of(matrix, inputs.shape[2:], axis) for matrix in _affines(inputs)}
    if len(found) > 1:
        raise BadCaseError(f"the {axis} axis differs inside the batch (axes {sorted(found)}): orient the volumes first")
    return found.pop()


def _axis_of(affine: np.ndarray, shape: torch.Size, axis: str) -> int:
    if axis == THROUGH_PLANE:
        single = np.flatnonzero(np.array(shape) == 1)
        spacings = np.linalg.norm(affine[:3, :3], axis=0)
        order = np.argsort(spacings)
        if len(single) == 1:
            return int(single[0])
        if spacings[order[2]] >= _STACK_RATIO * spacings[order[1]]:
            return int(order[2])
        axis = "axial"
    return int(np.flatnonzero(io_orientation(affine)[:, 0] == ANATOMICAL_AXES[axis])[0])


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


def neighbours(adjacent_slices: int, slices: int) -> Tensor:
    """Which slices a 2D network sees when it is to decide on one: that one and those beside it.

    Beyond either end of a stack its outermost slice stands in.

    Args:
        adjacent_slices: n, on each side.
        slices: S, of the stack.

    Returns:
        Numbers ``(S, 2 * n + 1)``, each row in the order of the stack.

    Raises:
        UsageError: n is negative.
    """
    if adjacent_slices < 0:
        raise UsageError(f"adjacent_slices={adjacent_slices} must be 0 or more")
    offsets = torch.arange(-adjacent_slices, adjacent_slices + 1)
    return (torch.arange(slices)[:, None] + offsets).clamp(0, slices - 1)


class SliceAxisLastd(MapTransform):
    """Orders a volume's axes so that its slices lie along the last one, as training on slices wants it.

    Args:
        keys: volumes ``(C, H, W, D)`` with an affine.
        axis: see :func:`slicing_axis`.
        allow_missing_keys: leave out keys that aren't there.
    """

    def __init__(self, keys: KeysCollection, axis: str | int = "axial", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.axis = axis

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The volumes ``(C, h, w, S)``, their other two axes in their order."""
        result = dict(data)
        for key in self.key_iterator(result):
            codes = list(aff2axcodes(_affines(result[key])[0]))
            codes.append(codes.pop(slicing_axis(result[key][None], self.axis)))
            result[key] = Orientation(axcodes="".join(codes), labels=_AXIS_LABELS)(result[key])
        return result


_AXIS_LABELS = (("L", "R"), ("P", "A"), ("I", "S"))
