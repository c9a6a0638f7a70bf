# SPDX-License-Identifier: Apache-2.0
"""The numbers of a data set's label files become class numbers, in training as in the report."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey, convert_to_dst_type

from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.data.references import numbering

__all__ = ["ClassNumbersd"]


class ClassNumbersd(MapTransform):
    """Turns label files' own numbers into class numbers, and refuses a file with numbers of another data set.

    A file with a label table in its header, as this project writes it, is read by that.

    Args:
        keys: keys of the labels, any shape.
        label_map: the classes, or their name.
        allow_missing_keys: don't fail where a key isn't there.

    Raises:
        BadCaseError: when a label holds a number that the label map doesn't know, or a table of other classes.
    """

    def __init__(self, keys: KeysCollection, label_map: str | LabelMap, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.label_map = get_label_map(label_map)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data with class numbers in place of raw numbers; type and metadata of a label stay."""
        d = dict(data)
        for key in self.key_iterator(d):
            label = d[key]
            source = label.meta.get(ImageMetaKey.FILENAME_OR_OBJ, key) if isinstance(label, MetaTensor) else key
            label_map = numbering(str(source), self.label_map) if Path(str(source)).is_file() else self.label_map
            d[key] = convert_to_dst_type(label_map.from_raw(np.asarray(label), str(source)), label)[0]
        return d
