# SPDX-License-Identifier: Apache-2.0
"""The forms in which people hold data sets: how cases are found in each, and how one is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import MetaTensor
from monai.transforms import Compose, MapTransform, Transform

from pranet_monai.data.cases import EXTENSIONS, Kind, find_cases, walk_files
from pranet_monai.data.labels import LabelMap
from pranet_monai.data.references import read_reference
from pranet_monai.errors import BadCaseError
from pranet_monai.transforms.files import file_extension
from pranet_monai.transforms.load import LoadVolumed, read_volume
from pranet_monai.transforms.load_array import ARRAY_EXTENSIONS, LoadArrayd
from pranet_monai.transforms.load_series import LoadSeriesd
from pranet_monai.transforms.photograph import LoadPhotographd, LoadPhotographMaskd

__all__ = ["ArrayFiles", "Form", "PhotographFiles", "SliceFolders", "VolumeFiles"]


class Form(ABC):
    """One form of files.

    Attributes:
        has_spacing: whether lengths in mm are known.
    """

    has_spacing: bool = False

    @abstractmethod
    def find(self, folder: Path) -> list[dict[str, str]]:
        """The cases below a folder, items like those of ``find_cases``; empty where there are none."""

    @abstractmethod
    def loader(self) -> Transform:
        """The transform that turns ``image`` and ``label`` of an item from paths into MetaTensors."""

    def read(self, item: Mapping[str, Any], label_map: LabelMap) -> tuple[MetaTensor, np.ndarray]:
        """Reads a case and checks that its label fits.

        Args:
            item: with ``image`` and ``label``.
            label_map: turns the numbers of the file into class numbers.

        Returns:
            The image (C, ...), and its class numbers (1, ...), uint8.

        Raises:
            BadCaseError: when a file can't be read, grids differ, or the label holds unknown numbers.
        """
        loaded: dict[str, MetaTensor] = self.loader()({key: item[key] for key in ("image", "label")})
        image, label = loaded["image"], loaded["label"]
        if image.shape[1:] != label.shape[1:]:
            raise BadCaseError(
                f"{item['label']}: found a label of shape {tuple(label.shape[1:])}; allowed: {tuple(image.shape[1:])}, "
                "that of its image; fix: give the label that was drawn on this image"
            )
        return image, label_map.from_raw(label.numpy(force=True), str(item["label"]))


@dataclass(frozen=True)
class VolumeFiles(Form):
    """One file per volume, ``.nii.gz`` mostly, with its label in a file beside it or in a folder beside that."""

    has_spacing = True

    def find(self, folder: Path) -> list[dict[str, str]]:
        """See the base class."""
        return _find_files(folder, "volume")

    def loader(self) -> MapTransform:
        """See the base class."""
        return LoadVolumed(("image", "label"))

    def read(self, item: Mapping[str, Any], label_map: LabelMap) -> tuple[MetaTensor, np.ndarray]:
        """See the base class; the label must lie where its image lies, in mm, too."""
        image = read_volume(item["image"])
        return image, read_reference(item["label"], image, label_map)


@dataclass(frozen=True)
class PhotographFiles(Form):
    """One photograph per case, its mask in a folder beside it."""

    def find(self, folder: Path) -> list[dict[str, str]]:
        """See the base class."""
        return _find_files(folder, "photograph")

    def loader(self) -> Compose:
        """See the base class."""
        return Compose([LoadPhotographd("image"), LoadPhotographMaskd("label")])


@dataclass(frozen=True)
class ArrayFiles(Form):
    """What papers have preprocessed: image and label as arrays of one ``.npz`` or ``.h5`` file, without geometry.

    Attributes:
        axcodes: where the axes H, W, D point, see :class:`~pranet_monai.transforms.load_array.LoadArrayd`.
    """

    axcodes: str = "RAS"

    def find(self, folder: Path) -> list[dict[str, str]]:
        """See the base class."""
        items = []
        for path in sorted(walk_files(folder)):
            if extension := file_extension(path, ARRAY_EXTENSIONS):
                case = path.relative_to(folder).as_posix()[: -len(extension)]
                items.append({"case": case, "image": str(path), "label": str(path)})
        return items

    def loader(self) -> LoadArrayd:
        """See the base class."""
        return LoadArrayd(("image", "label"), self.axcodes)


@dataclass(frozen=True)
class SliceFolders(Form):
    """A folder of DICOM slices per volume, and one of label images beside it.

    Attributes:
        images: name of the one.
        labels: name of the other.
    """

    images: str
    labels: str

    has_spacing = True

    def find(self, folder: Path) -> list[dict[str, str]]:
        """See the base class."""
        items = []
        for images in sorted(path for path in folder.rglob(self.images) if path.is_dir()):
            item = {"case": images.parent.relative_to(folder).as_posix(), "image": str(images)}
            labels = images.with_name(self.labels)
            items.append(item | ({"label": str(labels)} if labels.is_dir() else {}))
        return items

    def loader(self) -> LoadSeriesd:
        """See the base class."""
        return LoadSeriesd()


def _find_files(folder: Path, kind: Kind) -> list[dict[str, str]]:
    if not any(file_extension(path, EXTENSIONS[kind]) for path in walk_files(folder)):
        return []
    return find_cases(folder, labels="optional", kind=kind)
