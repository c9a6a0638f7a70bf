# SPDX-License-Identifier: Apache-2.0
"""Photographs, such as endoscopy frames, and their binary masks: read with every surprise named, written whole."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey
from PIL import Image, PngImagePlugin

from pranet_monai.errors import BadCaseError
from pranet_monai.storage.atomic import written_whole
from pranet_monai.transforms.files import file_stem, mask_path, unreadable_is_a_bad_case

__all__ = [
    "THRESHOLD",
    "LoadPhotographMaskd",
    "LoadPhotographd",
    "SavePhotographMaskd",
    "photograph_mask_is_whole",
    "read_photograph",
    "read_photograph_mask",
]

THRESHOLD = 0.5
"""A pixel belongs to the mask from this probability on."""

_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr")
_OURS = ("Software", "pranet_monai")  # text chunk of the masks that a run of ours has written


def read_photograph(path: str | Path) -> np.ndarray:
    """The colours of a photograph as its file holds them; an EXIF turn is left alone, so that masks fit the file.

    Args:
        path: an image of 8 bits per channel. Grey becomes three equal channels; an alpha channel must be opaque.

    Returns:
        uint8 array (H, W, 3).

    Raises:
        BadCaseError: when the file can't be read to its end, holds several images, other than 8 bits, or transparency.
    """
    image = _open(path)
    if image.mode not in _EIGHT_BIT:
        raise BadCaseError(
            f"{path}: found pixels of type {image.mode}; allowed: grey or RGB, 8 bits per channel; fix: convert it"
        )
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise BadCaseError(
            f"{path}: found transparent pixels; allowed: opaque ones; fix: save it without alpha channel"
        )
    return np.asarray(image.convert("RGB"))


def read_photograph_mask(path: str | Path) -> np.ndarray:
    """The mask of a photograph: foreground is 1 where only 0 and 1 occur, else whatever is brighter than half.

    Args:
        path: an image of 8 bits per channel; JPEG's traces around the edges do no harm.

    Returns:
        uint8 array (H, W) of 0 and 1.

    Raises:
        BadCaseError: see :func:`read_photograph`.
    """
    brightness = read_photograph(path).max(axis=2)
    return (brightness > (0 if brightness.max() <= 1 else 127)).astype(np.uint8)


class LoadPhotographd(MapTransform):
    """Loads photographs as MetaTensors (3, H, W), float32 in 0…255. See :func:`read_photograph`."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data with pixels in place of file names."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = _tensor(np.moveaxis(read_photograph(d[key]), 2, 0), d[key])
        return d


class LoadPhotographMaskd(MapTransform):
    """Loads masks of photographs as MetaTensors (1, H, W), float32, 0 and 1. See :func:`read_photograph_mask`."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data with pixels in place of file names."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = _tensor(read_photograph_mask(d[key])[None], d[key])
        return d


class SavePhotographMaskd(MapTransform):
    """Writes each probability map as an 8-bit PNG mask, 0 and 255, of the photograph's size; the data stays as it is.

    Args:
        keys: keys of the maps, MetaTensors (1, H, W) in [0, 1] with the metadata of ``LoadPhotographd``.
        output_dir: masks go to ``<output_dir>/<case>_seg.png``.
        allow_missing_keys: don't fail where a key isn't there.

    Raises:
        BadCaseError: when it would overwrite a file beside the photograph that no run of ours has written.
    """

    def __init__(self, keys: KeysCollection, output_dir: str | Path, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.output_dir = Path(output_dir)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Writes the mask of every key."""
        d = dict(data)
        for key in self.key_iterator(d):
            source = Path(str(d[key].meta[ImageMetaKey.FILENAME_OR_OBJ]))
            path = mask_path(self.output_dir, d.get("case", file_stem(source)), image=source)
            if path.exists() and path.parent.resolve() == source.parent.resolve() and not _is_ours(path):
                raise BadCaseError(
                    f"{path}: found a file there that this program didn't write; fix: give an output_dir of its own"
                )
            mask = (d[key][0].numpy(force=True) >= THRESHOLD).astype(np.uint8) * 255
            note = PngImagePlugin.PngInfo()
            note.add_text(*_OURS)
            with written_whole(path) as partial:
                Image.fromarray(mask).save(partial, pnginfo=note)
        return d


def photograph_mask_is_whole(mask: str | Path, image: str | Path) -> bool:
    """Whether an earlier run has finished this mask: ours, readable to its last byte, and of the photograph's size."""
    try:
        return _is_ours(Path(mask)) and _open(mask).size == Image.open(image).size
    except (BadCaseError, OSError):
        return False


def _open(path: str | Path) -> Image.Image:
    """The image with its pixels read."""
    with unreadable_is_a_bad_case(
        f"{path}: found a file that can't be read as an image",
        "allowed: a whole PNG, JPEG, BMP or TIFF file; fix: copy or export it again",
    ):
        image = Image.open(path)
        image.load()
    count = getattr(image, "n_frames", 1)
    if count > 1:
        raise BadCaseError(f"{path}: found {count} images in one file; allowed: one; fix: split it")
    return image


def _is_ours(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.info.get(_OURS[0]) == _OURS[1]
    except OSError:
        return path.is_file()  # half a file is nobody's mask


def _tensor(array: np.ndarray, path: str | Path) -> MetaTensor:
    return MetaTensor(torch.from_numpy(array.astype(np.float32)), meta={ImageMetaKey.FILENAME_OR_OBJ: str(path)})
