# SPDX-License-Identifier: Apache-2.0
"""What a form of files is: how cases are stored. One object finds, reads and writes them; nothing else knows how."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from monai.data import MetaTensor
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.provenance import Algorithm, Provenance
from pranet_monai.forms.search import Search
from pranet_monai.storage.hashing import file_sha256

__all__ = ["CLASSES", "DicomPaths", "Form", "Frames", "Item", "KindName"]

KindName = Literal["volume", "image"]
"""What a case is: a volume in mm with organs, or an RGB image in pixels. ``reports.kinds`` has an object for each."""

Item = Mapping[str, Any]
"""A case as ``find_cases`` lists it: ``case``, ``form``, ``image``, ``label`` where there is one, and reading hints."""

Frames = str | int | Sequence[int]
"""Of a 4D file: "all", one index or several, counted from 0."""


CLASSES = "classes"
"""Key of an item: number → name of classes, where a reference that names them is to be read as numbers."""


class DicomPaths(NamedTuple):
    """The DICOM objects of a volume, or of a frame of a cine."""

    segmentation: Path
    report: Path


class Form(ABC):
    """One form in which cases are stored. A new form is a subclass in a file of its own and a row in ``FORMS``.

    Attributes:
        name: key in ``FORMS``.
        kind: what its cases are.
        patterns: names of its files, for messages, such as ``*.nii.gz``.
        has_spacing: whether lengths in mm are known.
        mask_extension: of the masks that are written for its cases.
        writes_dicom: whether its masks can be DICOM objects, too, as its cases come from such.
    """

    name: ClassVar[str]
    kind: ClassVar[KindName]
    patterns: ClassVar[tuple[str, ...]]
    has_spacing: ClassVar[bool] = True
    mask_extension: ClassVar[str] = ".nii.gz"
    writes_dicom: ClassVar[bool] = False

    # --- finding

    @abstractmethod
    def takes(self, path: Path) -> bool:
        """Whether this file or folder is a case of this form."""

    def files_are(self, path: Path) -> str:
        """What to call a file that this form takes, where no run reads it."""
        return path.suffix.lower()

    def holds(self, path: Path) -> bool:
        """Whether a file belongs to cases of this form: as their image, a part of it, or beside it."""
        return self.takes(path)

    @abstractmethod
    def find_images(self, search: Search) -> list[Path]:
        """The images below a folder, without references."""

    def find_items(self, search: Search) -> list[dict[str, Any]]:
        """The cases below a folder, without references: ``case``, ``form``, ``image`` and what reading them needs."""
        return [
            {"case": self.case_name(image, search.root), "form": self.name, "image": str(image)}
            for image in self.find_images(search)
        ]

    def left_out(self, search: Search) -> dict[str, list[str]]:
        """Files that belong to this form and to no case: what they are → their paths below the folder."""
        return {}

    @abstractmethod
    def case_name(self, image: Path, root: Path) -> str:
        """Name of a case: its path below the root without extension, with ``/``."""

    @abstractmethod
    def find_reference(self, item: Item, search: Search) -> Path | None:
        """The reference of a case of :meth:`find_items`, where there is one."""

    def no_reference(self, item: Item, search: Search) -> str:
        """A sentence on a case of which :meth:`find_reference` finds none, where one is needed."""
        return (
            f"{item['image']}: found no label for it; allowed: the same name in a labels* or masks* folder, or "
            f"{Path(item['case']).name}_gt, _seg or _label beside it; fix: add the label, or give label_dir"
        )

    def find_references(self, search: Search) -> list[Path]:
        """Files that look like references, whether or not there is an image to each."""
        return []

    @abstractmethod
    def find_masks(self, search: Search) -> list[dict[str, Any]]:
        """Masks of any origin below a folder, to be compared: items with ``case``, ``form`` and ``label``."""

    # --- reading

    @abstractmethod
    def read_image(self, item: Item, frames: Frames = "all") -> MetaTensor:
        """The image of a case.

        Returns:
            Volumes (C, H, W, D), images (3, H, W), float32, with the metadata that writing a mask needs.

        Raises:
            BadCaseError: when it can't be read whole, or holds what no image may hold.
        """

    def class_names(self, item: Item) -> list[str]:
        """The names that the reference itself gives its classes; none where it numbers them, as most do."""
        return []

    @abstractmethod
    def read_mask(self, item: Item) -> MetaTensor:
        """The mask under ``label`` as its file holds it, (frames, H, W, D) or (1, H, W), on its own grid.

        Of one with :meth:`class_names` the item's :data:`CLASSES` say which number each gets.

        Raises:
            BadCaseError: as :meth:`read_image`.
        """

    def read_prediction(self, item: Item) -> MetaTensor:
        """A mask of another program, to be compared; a form of probabilities gives those."""
        return self.read_mask(item)

    @abstractmethod
    def read_reference(self, item: Item, image: MetaTensor, label_map: LabelMap) -> np.ndarray:
        """The reference of a case, as classes, on the very grid of its image.

        Args:
            item: with ``label``.
            image: anything (frames, …) with the metadata of :meth:`read_image` or :meth:`read_mask`; gets the
                remarks on the reference's file.
            label_map: turns the numbers of the file into class numbers.

        Returns:
            Class numbers, uint8: (frames, H, W, D) in the orientation of the image's file, or (1, H, W).

        Raises:
            BadCaseError: when the file can't be read, holds unknown numbers, or isn't on the grid of the image.
        """

    @abstractmethod
    def check_same_grid(self, volume: MetaTensor, other: MetaTensor) -> None:
        """Refuses a mask and an image that don't lie on one grid, by their files.

        Raises:
            BadCaseError: naming both files and what differs.
        """

    @abstractmethod
    def as_in_file(self, image: MetaTensor) -> np.ndarray:
        """A preprocessed image with its axes back in the order and direction of the file, for a picture."""

    # --- writing

    def frame_count(self, item: Item) -> int:
        """How many frames a case has, as far as its DICOM objects go: one for each."""
        return 1

    def fingerprint(self, item: Item) -> str:
        """SHA-256 of a case's image file: another one is another image, whatever its name."""
        return file_sha256(item["image"])

    def reference_files(self, item: Item) -> list[Path]:
        """The files under ``label``."""
        return [Path(item["label"])]

    def reference_fingerprint(self, item: Item, label_map: LabelMap) -> str:
        """SHA-256 of a case's reference and of what its numbers mean: by another one, the same mask is another result.

        Args:
            item: may have a ``label``, and name the numbering of that file.
            label_map: turns the numbers of all other files into class numbers.

        Returns:
            In hex; empty where there is no reference, or none that can be read.
        """
        if "label" not in item:
            return ""
        try:
            hashes = [file_sha256(path) for path in self.reference_files(item)]
        except OSError:
            return ""
        numbers = get_label_map(item.get("label_map", label_map)).raw_values
        return hashlib.sha256(f"{hashes} {sorted(numbers.items())}".encode()).hexdigest()

    @abstractmethod
    def write_mask(self, path: Path, mask: MetaTensor, label_map: LabelMap, made_by: Provenance) -> None:
        """Writes class numbers, turned back to the image's own grid, whole or not at all.

        Args:
            path: the file.
            mask: class numbers with the metadata of the image.
            label_map: names and colours of the classes.
            made_by: goes into the file.

        Raises:
            ValueError: when the mask isn't on the grid of its image.
        """

    def write_dicom(
        self,
        item: Item,
        paths: Sequence[DicomPaths],
        mask: MetaTensor,
        label_map: LabelMap,
        made_by: Provenance,
        algorithm: Algorithm,
    ) -> None:
        """Writes class numbers as DICOM segmentations of the case's own files, each with a report of the volumes.

        Args:
            item: the case.
            paths: where to, for each frame of the mask.
            mask: as for :meth:`write_mask`.
            label_map: names, colours and codes of the classes.
            made_by: goes into the segmentation,
            algorithm: as does this.

        Raises:
            BadCaseError: the case isn't DICOM, or its headers are too faulty.
        """
        raise BadCaseError(
            f"{item['image']}: found a case of the form {self.name}; allowed for DICOM segmentations: DICOM, whose "
            "files they refer to; fix: leave out output_format dicom_seg"
        )

    def note_quality(self, paths: DicomPaths, expected_dice: Mapping[str, float | None]) -> None:  # noqa: B027
        """Tells the quality of a mask, once it is known, in the DICOM report of its volumes, where there is one.

        Args:
            paths: of the DICOM objects.
            expected_dice: organ → what its Dice probably is, None where nothing can be said.
        """

    def dicom_is_whole(self, paths: DicomPaths, made_by: Provenance) -> bool:
        """Whether DICOM objects are finished, and made of this image with these weights."""
        return False

    @abstractmethod
    def write_probabilities(self, path: Path, probabilities: MetaTensor) -> None:
        """Writes probabilities as floats on the image's own grid, whole or not at all."""

    @abstractmethod
    def write_quality_map(self, path: Path, confidence: MetaTensor) -> None:
        """Writes how sure the network is of each voxel, 0 to 1, on the image's own grid, whole or not at all."""

    @abstractmethod
    def is_own(self, path: Path) -> bool:
        """Whether this program has written the file. What can't be read counts as one that was cut off."""

    @abstractmethod
    def mask_is_whole(self, mask: Path, item: Item, label_map: LabelMap, made_by: Provenance) -> bool:
        """Whether a mask is finished: readable to its last byte, of these classes, image and weights."""
