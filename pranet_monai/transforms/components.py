# SPDX-License-Identifier: Apache-2.0
"""Connected components of masks."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from pranet_monai.forms.grid import FRAMES
from pranet_monai.forms.remarks import add_remarks
from scipy import ndimage

__all__ = ["LargestComponentsd", "largest_components"]


_log = logging.getLogger(__name__)


def largest_components(labels: np.ndarray) -> np.ndarray:
    """Keep the largest component of each class; the rest becomes background.

    Args:
        labels: class numbers, any number of axes. Voxels that share a corner are connected.

    Returns:
        A new array of the same type.
    """
    kept = np.zeros_like(labels)
    corners = np.ones((3,) * labels.ndim)
    for index, box in enumerate(ndimage.find_objects(labels.astype(np.int32, copy=False)), start=1):
        if box is None:
            continue
        pieces, count = ndimage.label(labels[box] == index, structure=corners)
        largest = 1 if count == 1 else 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        kept[box][pieces == largest] = index
    return kept


class LargestComponentsd(MapTransform):
    """Keep the largest piece of each organ: MONAI's ``KeepLargestConnectedComponentd`` on labels, and on cines too.

    The frames of a cine are channels; an organ is one piece through time as well as in space. Where that costs a frame
    more than half of an organ, a warning is logged and the mask gets a remark: the organ may be in two pieces there.

    Args:
        keys: keys of masks (1 or frames, H, W, D) of class numbers.
        allow_missing_keys: don't fail where a key isn't there.
    """

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Clean the mask of every key."""
        d = dict(data)
        for key in self.key_iterator(d):
            labels = torch.as_tensor(d[key]).as_subclass(torch.Tensor).cpu().numpy()
            kept = largest_components(labels)
            remarks = _costs_of_frames(labels, kept, _frame_numbers(d[key]))
            d[key] = convert_to_dst_type(kept, d[key])[0]
            for remark in remarks:
                _log.warning("%s: %s", d.get("case", "a cine"), remark)
            if remarks and isinstance(d[key], MetaTensor):
                add_remarks(d[key], remarks)
        return d


def _frame_numbers(mask: Any) -> list[int]:
    """The frames of a mask as its rows count them, from 1."""
    frames = mask.meta[FRAMES] if isinstance(mask, MetaTensor) and FRAMES in mask.meta else range(len(mask))
    return [int(frame) + 1 for frame in frames]


def _costs_of_frames(labels: np.ndarray, kept: np.ndarray, numbers: Sequence[int]) -> list[str]:
    """A sentence for each organ and frame that has lost more than half of itself."""
    if len(labels) < 2:
        return []
    remarks = []
    for number, before, after in zip(numbers, labels, kept, strict=True):
        had = np.bincount(before.ravel())
        has = np.bincount(after.ravel(), minlength=len(had))
        remarks += [
            f"frame {number}: {had[organ] - has[organ]} of {had[organ]} voxels of class {organ} aren't part of its "
            "largest piece through time and were removed"
            for organ in range(1, len(had))
            if 2 * has[organ] < had[organ]
        ]
    return remarks
