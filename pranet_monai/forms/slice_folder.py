# SPDX-License-Identifier: Apache-2.0
"""A volume that is a folder of slices: DICOM files of one series, and a label image for each of them beside it."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import optional_import

from pranet_monai.errors import BadCaseError
from pranet_monai.forms.base import Frames, Item
from pranet_monai.forms.claims import check_memory
from pranet_monai.forms.files import file_extension, unreadable_is_a_bad_case
from pranet_monai.forms.grid import ORIGINAL_SHAPE, finite_voxels, volume_tensor
from pranet_monai.forms.rgb_image import read_rgb
from pranet_monai.forms.search import Search
from pranet_monai.forms.volume_form import VolumeForm
from pranet_monai.storage.hashing import file_sha256

__all__ = ["SliceFolder"]

MAX_UNEVEN = 0.05
"""Fraction of the distance of two slices by which it may differ within a series; a gap is a slice that isn't there."""

IMAGES, LABELS = "DICOM_anon", "Ground"  # CHAOS's names for the folder of the slices and that of their label images
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class SliceFolder(VolumeForm):
    """Folders of DICOM slices (``*.dcm``), one series each, with the label images of CHAOS beside them.

    H runs along the rows, W along the columns of the files' pictures, D along the normal of the slices. A label image
    belongs to the DICOM file of its name: ``Ground/IMG-0004-00001.png`` to ``DICOM_anon/IMG-0004-00001.dcm``. Needs
    ``pydicom``.
    """

    name: ClassVar[str] = "slice_folder"
    patterns: ClassVar[tuple[str, ...]] = ("folders of *.dcm",)

    def takes(self, path: Path) -> bool:
        """See the base class."""
        return path.is_dir() and bool(_slice_paths(path))

    def holds(self, path: Path) -> bool:
        """See the base class: slices, and the label images of CHAOS."""
        return bool(file_extension(path, (".dcm",))) or path.parent.name == LABELS

    def find_images(self, search: Search) -> list[Path]:
        """See the base class."""
        return sorted({path.parent for path in search.with_extension((".dcm",))})

    def case_name(self, image: Path, root: Path) -> str:
        """See the base class: the folder, or the one above where it has CHAOS's name."""
        folder = image.parent if image.name == IMAGES else image
        below = folder.relative_to(root) if folder.is_relative_to(root) else Path()
        return below.as_posix() if below.parts else (folder.name or root.name)

    def find_reference(self, image: Path, search: Search) -> Path | None:
        """See the base class."""
        labels = image.with_name(LABELS)
        return labels if image.name == IMAGES and labels.is_dir() else None

    def find_masks(self, search: Search) -> list[dict[str, str]]:
        """See the base class: label images lie where their DICOM files say."""
        pairs = [(image, self.find_reference(image, search)) for image in self.find_images(search)]
        return [
            {"case": self.case_name(image, search.root), "form": self.name, "image": str(image), "label": str(labels)}
            for image, labels in pairs
            if labels is not None
        ]

    def fingerprint(self, image: Path) -> str:
        """See the base class: of all its slices."""
        hashes = [file_sha256(path) for path in _slice_paths(image)]
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

    def read_image(self, item: Item, frames: Frames = "all") -> MetaTensor:
        """See the base class."""
        folder = str(item["image"])
        slices = list(_read_slices(folder).values())
        return _volume(folder, [_pixels(dataset) for dataset in slices], _affine(folder, slices))

    def read_mask(self, item: Item) -> MetaTensor:
        """See the base class."""
        folder, labels = str(item["image"]), str(item["label"])
        slices = _read_slices(folder)
        return _volume(labels, _read_labels(labels, folder, list(slices)), _affine(folder, list(slices.values())))


def _volume(path: str, planes: list[np.ndarray], affine: np.ndarray) -> MetaTensor:
    shapes = {plane.shape for plane in planes}
    if len(shapes) > 1:
        raise BadCaseError(f"{path}: found slices of shapes {sorted(shapes)}; allowed: one shape per case")
    volume = np.stack([plane.T for plane in planes], axis=-1).astype(np.float32, copy=False)
    meta = {ORIGINAL_SHAPE: np.asarray(volume.shape)}
    return volume_tensor(path, finite_voxels(path, torch.from_numpy(volume))[None], affine, meta)


def _read_slices(folder: str) -> dict[str, Any]:
    """The DICOM files by stem, in the order in which they lie along their normal."""
    pydicom, has_pydicom = optional_import("pydicom")
    if not has_pydicom:
        raise BadCaseError(f"{folder}: found no reader for DICOM; fix: pip install pydicom, or convert to .nii.gz")
    paths, values = _slice_paths(Path(folder)), 0
    for path in paths:
        with _named(path):
            values += _claimed_values(pydicom.dcmread(path, stop_before_pixels=True))
    check_memory(folder, [values])
    slices = {}
    for path in paths:
        with _named(path):
            slices[path.stem] = dataset = pydicom.dcmread(path)
            _position(dataset), _pixels(dataset)
    if len(slices) < 2:
        raise BadCaseError(f"{folder}: found {len(slices)} DICOM slices (*.dcm); allowed: 2 or more")
    normal = np.cross(*_directions(next(iter(slices.values()))))
    return dict(sorted(slices.items(), key=lambda item: float(normal @ _position(item[1]))))


def _named(path: Path) -> AbstractContextManager[None]:
    return unreadable_is_a_bad_case(f"{path}: found a file that can't be read as a slice", "fix: copy it again")


def _slice_paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if file_extension(path, (".dcm",)))


def _claimed_values(dataset: Any) -> int:
    """By a slice's header alone."""
    return int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames", 1) or 1)


def _affine(folder: str, slices: list[Any]) -> np.ndarray:
    """Voxel (column, row, slice) to RAS mm, 4 x 4."""
    directions = [_directions(dataset) for dataset in slices]
    steps = np.diff([_position(dataset) for dataset in slices], axis=0)
    if not np.allclose(directions, directions[0], atol=1e-3):
        raise BadCaseError(f"{folder}: found slices of several directions; allowed: one series per folder")
    step = np.median(steps, axis=0)
    length = float(np.linalg.norm(step))
    off = float(np.linalg.norm(steps - step, axis=1).max())
    if length == 0 or off > MAX_UNEVEN * length:
        raise BadCaseError(
            f"{folder}: found slices {length:.3g} mm apart, one of them {off:.3g} mm off; allowed: equal distances; "
            "fix: find the slice that is missing, or take away the one that is there twice"
        )
    between_rows, between_columns = (float(value) for value in slices[0].PixelSpacing)
    along_row, along_column = directions[0]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = along_row * between_columns, along_column * between_rows
    affine[:3, 2] = (_position(slices[-1]) - _position(slices[0])) / (len(slices) - 1)
    affine[:3, 3] = _position(slices[0])
    return _LPS_TO_RAS @ affine


def _position(dataset: Any) -> np.ndarray:
    return np.asarray(dataset.ImagePositionPatient, dtype=float)


def _directions(dataset: Any) -> np.ndarray:
    """Unit vectors (2, 3) in LPS: along a row, along a column."""
    return np.asarray(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3)


def _pixels(dataset: Any) -> np.ndarray:
    """Values (rows, columns) on the scale that the file states, float32."""
    values = dataset.pixel_array * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))
    return np.asarray(values, dtype=np.float32)


def _read_labels(folder: str, image_folder: str, stems: list[str]) -> list[np.ndarray]:
    """The label images (rows, columns) of these slices."""
    files = {path.stem: path for path in Path(folder).glob("*.png")}
    alone = sorted(set(stems) ^ set(files))
    if alone:
        raise BadCaseError(
            f"{folder}: found {len(files)} label images for the {len(stems)} slices in {image_folder}, these without "
            f"a partner: {', '.join(alone[:5])}{' …' if len(alone) > 5 else ''}; allowed: one of each name"
        )
    return [read_rgb(files[stem])[..., 0] for stem in stems]
