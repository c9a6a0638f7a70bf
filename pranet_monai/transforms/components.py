# SPDX-License-Identifier: Apache-2.0
"""What hangs together in a mask."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from scipy import ndimage

__all__ = ["LargestComponentsd", "largest_components"]


def largest_components(labels: np.ndarray) -> np.ndarray:
    """Keep the largest piece of each class; the rest becomes background.

    Args:
        labels: class numbers, any number of axes. Voxels that share a corner hang together.

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

    The frames of a cine are channels; an organ is one piece through time as well as in space.

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
            d[key] = convert_to_dst_type(largest_components(labels), d[key])[0]
        return d
