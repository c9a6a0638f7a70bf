# SPDX-License-Identifier: Apache-2.0
"""RGB images, such as endoscopy frames, and their binary masks: read with an error that names what is unusual, written
completely or not at all.
"""

from __future__ import annotations

from itertools import count, takewhile
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import ImageMetaKey
from PIL import Image, PngImagePlugin, TiffImagePlugin
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.base import Frames, Item, KindName
from pranet_monai.forms.claims import check_memory
from pranet_monai.forms.file_form import FileForm
from pranet_monai.forms.files import as_bad_case, check_is_there
from pranet_monai.forms.provenance import Provenance
from pranet_monai.forms.search import Search
from pranet_monai.storage.atomic import atomic_write

__all__ = ["RGBImage", "read_rgb", "read_rgb_mask"]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr")
_DARK = 127  # up to here a pixel of a mask is background, unless the mask holds 0 and 1 alone
_OWN_MARK = ("Software", "pranet_monai")  # text chunk of the masks that this program writes
_COMMENT = "Comment"  # text chunk of where a mask comes from


class RGBImage(FileForm):
    """One image of 8 bits per channel per case, its mask in a folder beside it."""

    name: ClassVar[str] = "rgb_image"
    kind: ClassVar[KindName] = "image"
    extensions: ClassVar[tuple[str, ...]] = EXTENSIONS
    has_spacing: ClassVar[bool] = False
    mask_extension: ClassVar[str] = ".png"

    def read_image(self, item: Item, frames: Frames = "all") -> MetaTensor:
        """See the base class: (3, H, W) in 0…255."""
        return _tensor(np.moveaxis(read_rgb(item["image"]), 2, 0), item["image"])

    def find_references(self, search: Search) -> list[Path]:
        """See the base class; further masks of an image, beside its first, are a part of that."""
        found = super().find_references(search)
        further = {path for first in found for path in _further_masks(first)}
        return [path for path in found if path not in further]

    def reference_files(self, item: Item) -> list[Path]:
        """See the base class; with the masks of further lesions."""
        label = Path(item["label"])
        return [label, *_further_masks(label)]

    def read_mask(self, item: Item) -> MetaTensor:
        """See the base class: (1, H, W), 0 and 1; what is bright in ``x_mask_1``, ``_2`` … beside it counts as well."""
        masks = [read_rgb_mask(path) for path in self.reference_files(item)]
        if len({mask.shape for mask in masks}) > 1:
            raise BadCaseError(
                f"{item['label']}: found masks of {len(masks)} lesions in different sizes; allowed: one size; "
                "fix: give the masks that were drawn on this image"
            )
        return _tensor(np.max(masks, axis=0)[None], item["label"])

    def read_prediction(self, item: Item) -> MetaTensor:
        """See the base class: grey values in between are probabilities, as PraNet writes them."""
        brightness = read_rgb(item["label"]).max(axis=2)
        if len(np.unique(brightness)) <= 2:
            return self.read_mask(item)
        return _tensor(brightness[None] / 255, item["label"])

    def read_reference(self, item: Item, image: MetaTensor, label_map: LabelMap) -> np.ndarray:
        """See the base class: (1, H, W)."""
        label = self.read_mask(item)
        self.check_same_grid(label, image)
        return np.asarray(label.numpy(force=True).astype(np.uint8))

    def check_same_grid(self, volume: MetaTensor, other: MetaTensor) -> None:
        """See the base class: the sizes in pixels."""
        if volume.shape[1:] != other.shape[1:]:
            names = [image.meta[ImageMetaKey.FILENAME_OR_OBJ] for image in (volume, other)]
            raise BadCaseError(
                f"{names[0]}: found {_size(volume)} pixels; allowed: {_size(other)}, those of {names[1]}; fix: give "
                "the mask that was drawn on this image"
            )

    def as_in_file(self, image: MetaTensor) -> np.ndarray:
        """See the base class: (1, H, W, 3), from the file, whose colours a preprocessing may have changed."""
        return read_rgb(str(image.meta[ImageMetaKey.FILENAME_OR_OBJ]))[None]

    def write_mask(self, path: Path, mask: MetaTensor, label_map: LabelMap, made_by: Provenance) -> None:
        """See the base class: an 8-bit PNG, 0 and 255, of the image's size."""
        note = PngImagePlugin.PngInfo()
        note.add_text(*_OWN_MARK)
        note.add_text(_COMMENT, made_by.text())
        with atomic_write(path) as partial:
            Image.fromarray(mask[0].numpy(force=True).astype(np.uint8) * 255).save(partial, "PNG", pnginfo=note)

    def write_probabilities(self, path: Path, probabilities: MetaTensor) -> None:
        """See the base class: a TIFF of 32-bit floats in [0, 1]."""
        with atomic_write(path) as partial:
            Image.fromarray(probabilities[0].numpy(force=True).astype(np.float32)).save(
                partial, "TIFF", software=_OWN_MARK[1]
            )

    def write_quality_map(self, path: Path, confidence: MetaTensor) -> None:
        """See the base class: an 8-bit PNG, 255 is 1."""
        grey = (confidence[0].numpy(force=True) * 255).round().astype(np.uint8)
        note = PngImagePlugin.PngInfo()
        note.add_text(*_OWN_MARK)
        with atomic_write(path) as partial:
            Image.fromarray(grey).save(partial, "PNG", pnginfo=note)

    def is_own(self, path: Path) -> bool:
        """See the base class: our files have this program's name in a text chunk, of TIFF in a tag."""
        try:
            with Image.open(path) as image:
                tags = getattr(image, "tag_v2", {})
                return _OWN_MARK[1] in (image.info.get(_OWN_MARK[0]), tags.get(TiffImagePlugin.SOFTWARE))
        except OSError:
            return path.is_file()

    def mask_is_whole(self, mask: Path, item: Item, label_map: LabelMap, made_by: Provenance) -> bool:
        """See the base class."""
        try:
            found = _open(mask)
            same_size = found.size == Image.open(item["image"]).size
            return same_size and Provenance.of_text(str(found.info.get(_COMMENT, ""))) == made_by
        except (BadCaseError, OSError):
            return False


def read_rgb(path: str | Path) -> np.ndarray:
    """The colours of an image as its file holds them; an EXIF turn is left alone, so that masks fit the file.

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


def read_rgb_mask(path: str | Path) -> np.ndarray:
    """The mask of an image: foreground is 1 where only 0 and 1 occur, else whatever is brighter than half.

    Args:
        path: an image of 8 bits per channel; JPEG's traces around the edges do no harm.

    Returns:
        uint8 array (H, W) of 0 and 1.

    Raises:
        BadCaseError: see :func:`read_rgb`; or no pixel is bright, so that the mask would count as empty.
    """
    brightness = read_rgb(path).max(axis=2)
    brightest = int(brightness.max())
    if 1 < brightest <= _DARK:
        raise BadCaseError(
            f"{path}: found a mask whose brightest pixel is {brightest}; allowed: 0 and 1, or 0 and 255 (more than "
            f"{_DARK} is foreground); fix: save the foreground as 255"
        )
    return (brightness > (0 if brightest <= 1 else _DARK)).astype(np.uint8)


def _further_masks(first: Path) -> list[Path]:
    """``x_mask_1.png``, ``x_mask_2.png`` … beside ``x_mask.png``: of further lesions (BUSI)."""
    numbered = (first.with_name(f"{first.stem}_{number}{first.suffix}") for number in count(1))
    return list(takewhile(Path.is_file, numbered)) if first.stem.lower().endswith("_mask") else []


def _open(path: str | Path) -> Image.Image:
    """The image with its pixels read."""
    check_is_there(path)
    with as_bad_case(
        f"{path}: found a file that can't be read as an image",
        "allowed: a whole PNG, JPEG, BMP or TIFF file; fix: copy or export it again",
    ):
        try:
            image = Image.open(path)
        except Image.DecompressionBombError as error:
            raise BadCaseError(
                f"{path}: found {error}; allowed: {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; fix: crop it"
            ) from error
        check_memory(path, (image.height, image.width, 3))
        image.load()
    count = getattr(image, "n_frames", 1)
    if count > 1:
        raise BadCaseError(f"{path}: found {count} images in one file; allowed: one; fix: split it")
    return image


def _size(image: MetaTensor) -> str:
    return f"{image.shape[-1]} x {image.shape[-2]}"


def _tensor(array: np.ndarray, path: str | Path) -> MetaTensor:
    return MetaTensor(torch.from_numpy(array.astype(np.float32)), meta={ImageMetaKey.FILENAME_OR_OBJ: str(path)})
