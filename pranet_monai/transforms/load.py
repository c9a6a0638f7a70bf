# SPDX-License-Identifier: Apache-2.0
"""Loads cases of every form of files."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import ImageReader, MetaTensor
from monai.transforms import LoadImaged
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.errors import UsageError
from pranet_monai.forms import Frames, form_of
from pranet_monai.forms.grid import FRAMES, labelled_frames
from pranet_monai.forms.remarks import remarks_of, with_remarks
from pranet_monai.forms.volume_reader import no_decoder_warning

__all__ = ["LoadCased"]


class LoadCased(LoadImaged):
    """Loads the image of a case, and its reference as class numbers on the same grid.

    Volumes become MetaTensors (C, H, W, D), a cine's frames being its channels; RGB images (3, H, W). A reference has
    the shape of its image with one channel (or one per frame); loaded with it, frames that nobody has labelled are left
    out of both. The item's ``form`` says how it is stored; an item without one, as MONAI Label gives it, is known by
    the name of its image.

    Args:
        keys: "image", or "image" and "label".
        label_map: the classes, or their name; needed for "label". An item may name the numbering of its own file.
        frames: of a 4D file: ``"all"``, one index or a list of them, counted from 0. Ignored for the others.
        allow_missing_keys: don't fail if a key is missing.

    Raises:
        UsageError: other keys, or a label without its label map.
        BadCaseError: a file can't be read completely, or its content isn't allowed; see the forms.
    """

    def __init__(
        self,
        keys: KeysCollection,
        label_map: str | LabelMap | None = None,
        frames: Frames = "all",
        allow_missing_keys: bool = False,
    ) -> None:
        with no_decoder_warning():
            super().__init__(keys, dtype=np.float32, image_only=True, allow_missing_keys=allow_missing_keys)
        unknown = set(self.keys) - {"image", "label"}
        if unknown or "image" not in self.keys:
            raise UsageError(f"keys={list(self.keys)}: allowed are 'image', or 'image' and 'label'")
        if "label" in self.keys and label_map is None:
            raise UsageError("keys hold 'label', label_map is None: give the classes that the reference's numbers mean")
        self.label_map = None if label_map is None else get_label_map(label_map)
        self.frames = frames

    def __call__(self, data: Mapping[Hashable, Any], reader: ImageReader | None = None) -> dict[Hashable, Any]:
        """The case with voxels in place of file names."""
        d: dict[Hashable, Any] = dict(data)
        item: dict[str, Any] = {str(key): value for key, value in d.items()}
        form = form_of(item)
        image = form.read_image(item, self.frames)
        loaded = {"image": image}
        if "label" in self.keys and ("label" in d or not self.allow_missing_keys):
            label_map = get_label_map(item["label_map"]) if "label_map" in item else self.label_map
            if label_map is None or "label" not in d:
                raise KeyError("label")
            with with_remarks(remarks_of(image)):
                classes = form.read_reference(item, image, label_map)
            labelled = labelled_frames(classes)
            if len(labelled) < len(classes):
                chosen = np.asarray(image.meta.get(FRAMES, range(len(classes))))[labelled]
                loaded["image"] = image = form.read_image(item, [int(frame) for frame in chosen])
                classes = classes[labelled]
            loaded["label"] = _on_grid_of(image, classes)
        for key, meta_key, postfix in self.key_iterator(d, self.meta_keys, self.meta_key_postfix):
            d[key] = loaded[str(key)]
            if not self._loader.image_only:  # MONAI Label asks for the metadata beside the image
                d[meta_key or f"{key}_{postfix}"] = loaded[str(key)].meta
        return d


def _on_grid_of(image: MetaTensor, classes: np.ndarray) -> MetaTensor:
    """Class numbers with the place of their image, so that both are turned alike."""
    return MetaTensor(torch.from_numpy(classes.astype(np.float32)), meta=dict(image.meta))
