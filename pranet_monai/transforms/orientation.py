# SPDX-License-Identifier: Apache-2.0
"""Volumes turned to one order of axes: MONAI's ``Orientation``, but one physical grid always comes out the same."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import Orientation, Orientationd
from monai.transforms.spatial.functional import orientation
from monai.utils import TraceKeys
from nibabel.orientations import axcodes2ornt, ornt_transform
from pranet_monai.geometry import orientation_of, turn_between

__all__ = ["OrientVolume", "OrientVolumed"]

_LABELS = (("L", "R"), ("P", "A"), ("I", "S"))


class OrientVolume(Orientation):
    """Turns a volume (C, H, W, D) to an order of axes, by permuting and flipping alone.

    MONAI's own lets nibabel decide which axis is closest to which direction of the body. On a grid turned by 45 degrees
    two are equally close, and the order of the file's array or the last digits of its header decide. Here it is the
    direction in which they point; see :func:`~pranet_monai.geometry.orientation_of`.

    Args:
        axcodes: where the axes shall lead, such as "RAS".
    """

    def __init__(self, axcodes: str = "RAS") -> None:
        super().__init__(axcodes, labels=_LABELS)

    def __call__(self, data_array: torch.Tensor, lazy: bool | None = None) -> torch.Tensor:
        """The volume, a MetaTensor, in the order of ``axcodes``; its grid is in the affine."""
        wanted = axcodes2ornt(self.axcodes, _LABELS)
        return self._turned(data_array, ornt_transform(orientation_of(_affine(data_array)), wanted))

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """The volume in the order that it had, by the way from grid to grid, which no tie can change."""
        original = self.pop_transform(data)[TraceKeys.EXTRA_INFO]["original_affine"]
        with self.trace_transform(False):
            return self._turned(data, turn_between(_affine(data), np.asarray(original)))

    def _turned(self, volume: torch.Tensor, turn: np.ndarray) -> torch.Tensor:
        turned: torch.Tensor = orientation(
            volume, _affine(volume), turn, lazy=False, transform_info=self.get_transform_info()
        )
        return turned


def _affine(volume: torch.Tensor) -> np.ndarray:
    return np.asarray(cast(MetaTensor, volume).affine)


class OrientVolumed(Orientationd):
    """:class:`OrientVolume` for the volumes of a case.

    Args:
        keys: of the volumes.
        axcodes: where their axes shall lead.
        allow_missing_keys: leave out keys that aren't there.
    """

    def __init__(self, keys: KeysCollection, axcodes: str = "RAS", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, axcodes, labels=_LABELS, allow_missing_keys=allow_missing_keys)
        self.ornt_transform = OrientVolume(axcodes)
