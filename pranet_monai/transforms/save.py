# SPDX-License-Identifier: Apache-2.0
"""Writes the network's output to files: labels, and on request probabilities, on the image's own grid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, SaveImaged
from monai.utils import ImageMetaKey
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.forms import Form, form_of
from pranet_monai.forms.provenance import FINGERPRINT, Algorithm, Provenance
from pranet_monai.forms.run_folder import OUTPUT_FORMATS, OutputFormat, RunFolder, wants_dicom
from pranet_monai.storage.hashing import file_sha256

__all__ = [
    "PROBABILITIES",
    "QUALITY_MAP",
    "THRESHOLD",
    "AsLabelsd",
    "SaveMaskd",
    "SaveProbabilitiesd",
    "SaveQualityMapd",
]

PROBABILITIES = "probabilities"
"""The key under which :class:`AsLabelsd` keeps what the labels were made from."""

QUALITY_MAP = "quality_map"
"""The key of a map of how sure the network is of each voxel, 0 to 1, where it was asked for."""

THRESHOLD = 0.5
"""Of one class against the background: a voxel belongs to it from this probability on."""


class AsLabelsd(MapTransform):
    """Converts the inferer's output to labels, so that only labels are written as a mask.

    Labels (any integer type) stay as they are. Probabilities become the most likely class (a single class: where
    they reach 0.5), and are kept under ``probabilities``.

    Args:
        keys: keys of (frames, …) labels or (frames × classes, …) probabilities.
        out_channels: classes of the network, 1 for a single one against the background.
        allow_missing_keys: don't fail if a key is missing.

    Raises:
        UsageError: the output is neither, for example logits.
    """

    def __init__(self, keys: KeysCollection, out_channels: int, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.out_channels = out_channels

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data with labels under its keys."""
        d = dict(data)
        for key in self.key_iterator(d):
            if torch.is_floating_point(d[key]):
                d[PROBABILITIES] = _checked_probabilities(d[key], self.out_channels)
                d[key] = self._labels(d[key])
        return d

    def _labels(self, maps: torch.Tensor) -> torch.Tensor:
        if self.out_channels == 1:
            return (maps >= THRESHOLD).to(torch.uint8)
        by_class = maps.unflatten(0, (-1, self.out_channels))
        return by_class.max(1).indices.to(torch.uint8)


def _checked_probabilities(maps: torch.Tensor, out_channels: int) -> torch.Tensor:
    low, high = float(maps.min()), float(maps.max())
    if not (0 <= low and high <= 1) or len(maps) % out_channels:
        raise UsageError(
            f"the inferer gave {len(maps)} maps with values from {low:.3g} to {high:.3g}, for {out_channels} classes; "
            "allowed: labels or probabilities (inferer#output labels or probabilities)"
        )
    return maps


class SaveMaskd(SaveImaged):
    """Writes each mask in the form of its image: NIfTI for volumes, PNG for images, shape and place as the image's.

    The file is written under a hidden name and renamed when complete, so a killed run leaves no partial mask. Put it
    after ``Invertd``. Being a ``SaveImaged``, it is left out by MONAI Label, which writes its own answer.

    Args:
        keys: keys of the masks: class numbers (1 or frames, H, W, D) or (1, H, W), with the metadata of ``LoadCased``.
        output_dir: of the run, see :class:`~pranet_monai.forms.run_folder.RunFolder`.
        label_map: names and colours of the classes, or their name.
        weights: file of the network's weights; its hash is written into the masks, so that a later run recognises them.
        output_format: "nifti" (of images PNG), "dicom_seg", or "both": DICOM segmentations and reports as well, for
            cases that are DICOM.
        algorithm: name and version of the bundle, which DICOM objects tell.
        allow_missing_keys: don't fail if a key is missing.

    Raises:
        UsageError: when a mask holds anything but class numbers; an unknown format.
        ValueError: when a mask isn't on the grid of its image.
        BadCaseError: when it would overwrite a file beside the image that this program didn't write; when DICOM is
            asked for, and the case isn't DICOM.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | Path,
        label_map: str | LabelMap,
        weights: str | Path | None = None,
        output_format: OutputFormat = "both",
        algorithm: Sequence[str] = (),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, output_dir=output_dir, print_log=False, allow_missing_keys=allow_missing_keys)
        if output_format not in OUTPUT_FORMATS:
            raise UsageError(f"output_format {output_format!r}: allowed: {', '.join(OUTPUT_FORMATS)}")
        self.folder = RunFolder(output_dir)
        self.label_map = get_label_map(label_map)
        self.weights = weights
        self.output_format: OutputFormat = output_format
        self.algorithm = Algorithm(*algorithm)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Writes the mask of every key; the data stays as it is."""
        d = dict(data)
        for key in self.key_iterator(d):
            _check_labels(d[key], self.label_map)
            item, form, source = _origin(d, d[key])
            path = self.folder.mask(item["case"], form)
            _check_place(path, source, form)
            made_by = Provenance(d.get(FINGERPRINT) or form.fingerprint(item), self._weights_sha256)
            if wants_dicom(self.output_format, form):
                paths = self.folder.dicom(self.folder.row_names(item, d[key]))
                form.write_dicom(item, paths, d[key], self.label_map, made_by, self.algorithm)
            if self.output_format != "dicom_seg":  # last: where it is, the DICOM objects are, too
                form.write_mask(path, d[key], self.label_map, made_by)
        return d

    @cached_property
    def _weights_sha256(self) -> str:
        return "" if self.weights is None else file_sha256(self.weights)


class _SaveMapd(SaveImaged, ABC):
    """Writes maps beside the masks, under names of their own; see :class:`SaveMaskd`.

    Args:
        keys: keys of the maps, turned back to the image's grid.
        output_dir: of the run.
        allow_missing_keys: don't fail if a key is missing.

    Raises:
        BadCaseError: when one would overwrite a file beside the image that this program didn't write.
    """

    def __init__(self, keys: KeysCollection, output_dir: str | Path, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, output_dir=output_dir, print_log=False, allow_missing_keys=allow_missing_keys)
        self.folder = RunFolder(output_dir)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Writes the map of every key; the data stays as it is."""
        d = dict(data)
        for key in self.key_iterator(d):
            item, form, source = _origin(d, d[key])
            path = self.path(item["case"], form)
            _check_place(path, source, form)
            self.write(path, form, d[key])
        return d

    @abstractmethod
    def path(self, case: str, form: Form) -> Path:
        """Where the maps of a case go."""

    @abstractmethod
    def write(self, path: Path, form: Form, maps: MetaTensor) -> None:
        """Writes the maps of one case, in its form."""


class SaveProbabilitiesd(_SaveMapd):
    """Writes probabilities (frames × classes, …) as floats, as ``<case>_probabilities``."""

    def path(self, case: str, form: Form) -> Path:
        """See the base class."""
        return self.folder.probabilities(case, form)

    def write(self, path: Path, form: Form, maps: MetaTensor) -> None:
        """See the base class."""
        form.write_probabilities(path, maps)


class SaveQualityMapd(_SaveMapd):
    """Writes the network's confidence in each voxel, 0 to 1, (1 or frames, …), as ``<case>_quality``."""

    def path(self, case: str, form: Form) -> Path:
        """See the base class."""
        return self.folder.quality_map(case, form)

    def write(self, path: Path, form: Form, maps: MetaTensor) -> None:
        """See the base class."""
        form.write_quality_map(path, maps)


def _origin(data: Mapping[Hashable, Any], mask: MetaTensor) -> tuple[dict[str, Any], Form, Path]:
    """The case that a mask belongs to as ``find_cases`` lists it, its form, and its file."""
    source = Path(str(mask.meta[ImageMetaKey.FILENAME_OR_OBJ]))
    item = {str(key): value for key, value in data.items() if not isinstance(value, torch.Tensor)}
    item["image"] = str(source)
    form = form_of(item)
    if "case" not in item:
        item["case"] = form.case_name(source, source.parent)
    return item, form, source


def _check_place(path: Path, source: Path, form: Form) -> None:
    """Refuses a place where the user's own files may be.

    Raises:
        BadCaseError: a folder is there, or, beside the image, a file of another program.
    """
    if path.is_dir():
        raise BadCaseError(f"{path}: found a folder of this name; fix: move it away, the case's result goes there")
    if path.exists() and path.parent.resolve() == source.parent.resolve() and not form.is_own(path):
        raise BadCaseError(
            f"{path}: found a file there that this program didn't write; fix: give an output_dir of its own"
        )


def _check_labels(mask: MetaTensor, label_map: LabelMap) -> None:
    largest = len(label_map.labels) - 1
    if torch.is_floating_point(mask):
        raise UsageError(
            f"a mask must hold class numbers, this one is {mask.dtype}; fix: put AsLabelsd before SaveMaskd"
        )
    if mask.numel() and (int(mask.min()) < 0 or int(mask.max()) > largest):
        found = np.unique(mask.numpy(force=True))[:10].tolist()
        raise UsageError(f"a mask holds the numbers {found}; allowed: 0 to {largest}, the classes of {label_map.name}")
