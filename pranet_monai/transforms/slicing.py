# SPDX-License-Identifier: Apache-2.0
"""Volumes as stacks of 2D slices: the slicing axis, the pixel spacing, cutting, and neighbours."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Orientation
from nibabel.orientations import aff2axcodes
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.geometry import plane_axis
from torch import Tensor

__all__ = ["VIEW", "SliceAxisLastd", "SliceStack", "neighbours", "slicing_axis"]

VIEW = "view"
"""Key of an item that says by which of several planes it is to be sliced."""

_SPACING_TOLERANCE = 1e-3  # relative; headers store spacings as float32


def slicing_axis(inputs: Tensor, axis: str | int) -> int:
    """The spatial axis (0, 1, 2) normal to the wanted plane; on an oblique grid the closest one.

    Args:
        inputs: ``(B, C, H, W, D)``, or ``(B, C, H, W)``, to which an axis 2 of one slice is to be added.
        axis: ``"axial"``, ``"coronal"``, ``"sagittal"``; ``"through_plane"``, the axis along which a stack was
            acquired, right for oblique stacks such as short-axis views (see :func:`pranet_monai.geometry.plane_axis`);
            or the axis itself as a number.

    Raises:
        BadCaseError: the volumes of the batch are oriented differently, or their affine is unusable.
    """
    if inputs.ndim == 4:
        return 2
    if not isinstance(axis, str):
        return axis
    found = {plane_axis(inputs.shape[2:], affine, axis) for affine in _affines(inputs)}
    if len(found) > 1:
        raise BadCaseError(f"the {axis} axis differs inside the batch (axes {sorted(found)}): orient the volumes first")
    return found.pop()


def _affines(inputs: Tensor) -> np.ndarray:
    """Voxel-to-world matrices ``(B, 4, 4)``, RAS; identity for a plain tensor, as MONAI takes it."""
    affine = inputs.affine if isinstance(inputs, MetaTensor) else torch.eye(4)
    matrices = affine.detach().cpu().double().numpy()
    usable = matrices.shape[-2:] == (4, 4) and np.isfinite(matrices).all()
    if not usable or (np.linalg.matrix_rank(matrices[..., :3, :3]) < 3).any():
        raise BadCaseError(f"the affine must be a finite, invertible 4 x 4 matrix, got\n{affine}")
    return matrices.reshape(-1, 4, 4)


def neighbours(adjacent_slices: int, slices: int) -> Tensor:
    """The slices that a 2D network sees for one slice: the slice itself and its neighbours.

    Beyond either end of the stack the outermost slice is repeated.

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


class SliceStack:
    """A batch of volumes as one row of 2D slices, item after item and frame after frame: cut them out, put them back.

    Args:
        volume: ``(B, T * C, H, W, D)``, or ``(B, T * C, H, W)``, images that are one slice each; with an affine where
            ``axis`` or ``spacing`` needs one.
        axis: see :func:`slicing_axis`.
        channels: C, of one of T frames; None for one frame of all channels.
        adjacent_slices: n neighbours on each side that are cut out together with a slice, see :func:`neighbours`.

    Attributes:
        volume: as given, never copied.
        axis: the spatial axis normal to the slices.
        shape: ``(B, T, S)``, S slices in each frame of each item.
        size: ``(h, w)`` of a slice: the other two axes in their order.

    Raises:
        BadCaseError: see :func:`slicing_axis`.
        UsageError: see :func:`neighbours`.
    """

    def __init__(
        self, volume: Tensor, axis: str | int = "axial", channels: int | None = None, adjacent_slices: int = 0
    ) -> None:
        self.volume = volume
        self.axis = slicing_axis(volume, axis)
        planes = volume.as_subclass(Tensor)
        planes = planes.unsqueeze(-1) if planes.ndim == 4 else planes
        # a view (B, T, S, C, h, w)
        self._slices = planes.unflatten(1, (-1, channels or planes.shape[1])).movedim(self.axis + 3, 2)
        self._seen = neighbours(adjacent_slices, self._slices.shape[2])
        self.shape = self._slices.shape[:3]
        self.size = (self._slices.shape[4], self._slices.shape[5])

    def __len__(self) -> int:
        return self.shape.numel()

    @property
    def spacing(self) -> tuple[float, float]:
        """Distance in mm between the rows and between the columns of a slice.

        Raises:
            BadCaseError: the volumes of the batch differ, or their affine is unusable.
        """
        spacings = np.delete(np.linalg.norm(_affines(self.volume)[:, :3, :3], axis=1), self.axis, axis=1)
        if not np.allclose(spacings, spacings[0], rtol=_SPACING_TOLERANCE):
            found = spacings.round(4).tolist()
            raise BadCaseError(f"in-plane spacing differs inside the batch, {found} mm: use batches of one")
        return float(spacings[0, 0]), float(spacings[0, 1])

    def cut(self, numbers: Sequence[int]) -> Tensor:
        """Slices by their numbers, ``(N, (2 n + 1) * C, h, w)``: a copy, neighbours in the order of the axis."""
        item, frame, number = self._places(numbers)
        return self._slices[item[:, None], frame[:, None], self._seen[number]].flatten(1, 2)

    def put(self, numbers: Sequence[int], planes: Tensor) -> None:
        """Write slices ``(N, C, h, w)`` into the volume, in their places."""
        self._slices[self._places(numbers)] = planes.to(self.volume.device)

    def blank(self, channels: int, dtype: torch.dtype, device: torch.device | str | None = None) -> SliceStack:
        """A stack of the same slices over a new volume ``(B, T * channels, ...)``, for :meth:`put` to fill."""
        shape = (self.shape[0], self.shape[1] * channels, *self.volume.shape[2:])
        with torch.inference_mode(False):  # or later transforms could not change the volume in place
            volume = torch.empty(shape, dtype=dtype, device=device or self.volume.device)
        return SliceStack(volume, self.axis, channels)

    def _places(self, numbers: Sequence[int]) -> tuple[Tensor, ...]:
        return torch.unravel_index(torch.as_tensor(numbers), self.shape)


class SliceAxisLastd(MapTransform):
    """Orders a volume's axes so that its slices lie along the last one, as training on slices wants it.

    Args:
        keys: volumes ``(C, H, W, D)`` with an affine.
        axis: see :func:`slicing_axis`; of several planes the one that the item's ``view`` names, or else the first.
        allow_missing_keys: leave out keys that aren't there.
    """

    def __init__(
        self, keys: KeysCollection, axis: str | int | Sequence[str] = "axial", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.axis = axis if isinstance(axis, (str, int)) else axis[0]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The volumes ``(C, h, w, S)``, their other two axes in their order."""
        result = dict(data)
        for key in self.key_iterator(result):
            codes = list(aff2axcodes(_affines(result[key])[0]))
            codes.append(codes.pop(slicing_axis(result[key][None], result.get(VIEW, self.axis))))
            result[key] = Orientation(axcodes="".join(codes), labels=_AXIS_LABELS)(result[key])
        return result


_AXIS_LABELS = (("L", "R"), ("P", "A"), ("I", "S"))
