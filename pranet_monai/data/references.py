# SPDX-License-Identifier: Apache-2.0
"""The expert's labels of a case, on the very grid of its image, without any preprocessing in between."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey, MetaKeys

from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError
from pranet_monai.transforms.files import is_nifti, open_nifti
from pranet_monai.transforms.label_table import read_label_table
from pranet_monai.transforms.load import FRAMES, ORIGINAL_SHAPE, read_volume

__all__ = ["SameGridd", "numbering", "read_reference"]

MAX_CORNER_SHIFT = 0.1
"""Fraction of the shortest voxel edge by which the corners of both grids may differ; headers round differently."""


def read_reference(path: str | Path, image: MetaTensor, label_map: LabelMap) -> np.ndarray:
    """Reads the labels of an image as its file holds them.

    Args:
        path: the label file.
        image: anything (frames, …) with the metadata of ``LoadVolumed`` for the image.
        label_map: turns the numbers of the file into class numbers.

    Returns:
        Class numbers (frames, H, W, D), uint8, in the orientation of the image's file.

    Raises:
        BadCaseError: when the file can't be read, holds unknown labels, or isn't on the grid of the image.
    """
    label = read_volume(path)
    _check_same_grid(str(path), label, image)
    values = label.numpy(force=True)
    if FRAMES in image.meta:
        values = values[np.asarray(image.meta[FRAMES]).astype(int)]
    return numbering(path, label_map).from_raw(values, str(path))


def numbering(path: str | Path, label_map: LabelMap) -> LabelMap:
    """How a file numbers the classes: as its label table says, if it has one, else as the data set's own files.

    Raises:
        BadCaseError: when the table names other classes.
    """
    table = read_label_table(open_nifti(path)) if is_nifti(path) else {}
    if not table:
        return label_map
    classes = {number: name for number, name in label_map.labels.items() if number}
    if table != classes:
        raise BadCaseError(
            f"{path}: found the classes {table} in its header; allowed: {classes} of {label_map.name}; fix: choose the "
            "label map that the file was made with"
        )
    return label_map.of_class_numbers()


class SameGridd(MapTransform):
    """Refuses labels that don't lie on the grid of their image, before both are turned each by its own header.

    Args:
        keys: labels (frames, H, W, D), as ``LoadVolumed`` gives them.
        image_key: their image, loaded likewise.
        allow_missing_keys: don't fail where a key isn't there.

    Raises:
        BadCaseError: when shapes differ, or the label lies beside the image.
    """

    def __init__(self, keys: KeysCollection, image_key: str = "image", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data as they are."""
        d = dict(data)
        for key in self.key_iterator(d):
            _check_same_grid(str(d[key].meta[ImageMetaKey.FILENAME_OR_OBJ]), d[key], d[self.image_key])
        return d


def _check_same_grid(path: str, label: MetaTensor, image: MetaTensor) -> None:
    name = image.meta[ImageMetaKey.FILENAME_OR_OBJ]
    shapes = [tuple(int(n) for n in np.asarray(grid.meta[MetaKeys.SPATIAL_SHAPE])) for grid in (label, image)]
    frames = int(np.asarray(image.meta[ORIGINAL_SHAPE])[3]) if FRAMES in image.meta else 1
    if shapes[0] != shapes[1] or len(label) != frames:
        raise BadCaseError(
            f"{path}: found labels of shape {shapes[0]} and {len(label)} frame(s); allowed: {shapes[1]} and {frames}, "
            f"those of {name}; fix: give the label that was drawn on this image"
        )
    affines = [np.asarray(grid.meta[MetaKeys.ORIGINAL_AFFINE], dtype=float) for grid in (label, image)]
    corners = np.array([(*corner, 1) for corner in itertools.product(*((0, n - 1) for n in shapes[0]))])
    shift = np.linalg.norm((corners @ (affines[0] - affines[1]).T)[:, :3], axis=1).max()
    if shift > MAX_CORNER_SHIFT * np.linalg.norm(affines[1][:3, :3], axis=0).min():
        raise BadCaseError(
            f"{path}: found labels that lie up to {shift:.3g} mm beside {name}: affine {affines[0].round(3).tolist()}; "
            f"allowed: {affines[1].round(3).tolist()}; fix: resample the label onto the image (nearest neighbour)"
        )
