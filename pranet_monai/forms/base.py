# SPDX-License-Identifier: Apache-2.0
"""What a form of files is: how cases are stored. One object finds, reads and writes; nobody else knows the files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from monai.data import MetaTensor

from pranet_monai.data.labels import LabelMap
from pranet_monai.forms.provenance import Provenance
from pranet_monai.forms.search import Search
from pranet_monai.storage.hashing import file_sha256

__all__ = ["Form", "Frames", "Item", "KindName"]

KindName = Literal["volume", "image"]
"""What a case is: a volume in mm with organs, or an RGB image in pixels. ``reports.kinds`` has an object for each."""

Item = Mapping[str, Any]
"""A case as ``find_cases`` lists it: ``case``, ``form``, ``image``, ``label`` where there is one, and reading hints."""

Frames = str | int | Sequence[int]
"""Of a 4D file: "all", one index or several, counted from 0."""


class Form(ABC):
    """One form in which cases are stored. A new form is a subclass in a file of its own and a row in ``FORMS``.

    Attributes:
        name: key in ``FORMS``.
        kind: what its cases are.
        patterns: names of its files, for messages, such as ``*.nii.gz``.
        has_spacing: whether lengths in mm are known.
        mask_extension: of the masks that are written for its cases.
    """

    name: ClassVar[str]
    kind: ClassVar[KindName]
    patterns: ClassVar[tuple[str, ...]]
    has_spacing: ClassVar[bool] = True
    mask_extension: ClassVar[str] = ".nii.gz"

    # --- finding

    @abstractmethod
    def takes(self, path: Path) -> bool:
        """Whether this file or folder is a case of this form."""

    def holds(self, path: Path) -> bool:
        """Whether a file belongs to cases of this form: as their image, a part of it, or beside it."""
        return self.takes(path)

    @abstractmethod
    def find_images(self, search: Search) -> list[Path]:
        """The images below a folder, without references."""

    @abstractmethod
    def case_name(self, image: Path, root: Path) -> str:
        """Name of a case: its path below the root without extension, with ``/``."""

    @abstractmethod
    def find_reference(self, image: Path, search: Search) -> Path | None:
        """The expert's mask of an image, where there is one."""

    def find_references(self, search: Search) -> list[Path]:
        """Files that look like references, whether or not there is an image to each."""
        return []

    @abstractmethod
    def find_masks(self, search: Search) -> list[dict[str, str]]:
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

    @abstractmethod
    def read_mask(self, item: Item) -> MetaTensor:
        """The mask under ``label`` as its file holds it, (frames, H, W, D) or (1, H, W), on its own grid.

        Raises:
            BadCaseError: as :meth:`read_image`.
        """

    def read_prediction(self, item: Item) -> MetaTensor:
        """A mask of another program, to be compared; a form of probabilities gives those."""
        return self.read_mask(item)

    @abstractmethod
    def read_reference(self, item: Item, image: MetaTensor, label_map: LabelMap) -> np.ndarray:
        """The expert's classes of a case, on the very grid of its image.

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

    def fingerprint(self, image: Path) -> str:
        """SHA-256 of an image's file: another one is another image, whatever its name."""
        return file_sha256(image)

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

    @abstractmethod
    def write_probabilities(self, path: Path, probabilities: MetaTensor) -> None:
        """Writes probabilities as floats on the image's own grid, whole or not at all."""

    @abstractmethod
    def is_own_mask(self, path: Path) -> bool:
        """Whether this program has written the file. What can't be read counts as a mask that was cut off."""

    @abstractmethod
    def mask_is_whole(self, mask: Path, item: Item, label_map: LabelMap, made_by: Provenance) -> bool:
        """Whether a mask is finished: readable to its last byte, of these classes, image and weights."""
