# SPDX-License-Identifier: Apache-2.0
"""One file per volume: NIfTI, NRRD, MetaImage, with its reference in a file beside it or in a folder beside that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
from monai.config import PathLike
from monai.data import MetaTensor, NibabelReader
from monai.transforms import LoadImage
from monai.utils import MetaKeys, ensure_tuple, optional_import

from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.forms.base import Frames, Item
from pranet_monai.forms.files import (
    check_gzip,
    file_extension,
    is_nifti,
    open_nifti,
    unreadable_is_a_bad_case,
    without_extension,
)
from pranet_monai.forms.grid import FRAMES, ORIGINAL_SHAPE, checked_affine, finite_voxels, is_same_grid, volume_tensor
from pranet_monai.forms.label_table import read_label_table
from pranet_monai.forms.search import Search
from pranet_monai.forms.volume_form import VolumeForm

__all__ = ["VolumeFile", "read_volume"]

EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".mha")
# the whole cine of an ACDC patient, whose ED and ES frames lie beside it as patient001_frame01, …_frame12
_CINE = re.compile(r"(?P<patient>.+)_4d", re.IGNORECASE)


class VolumeFile(VolumeForm):
    """Volumes as single files. NIfTI needs nothing beside this package, ``.nrrd`` and ``.mha`` need ``itk``."""

    name: ClassVar[str] = "volume_file"
    patterns: ClassVar[tuple[str, ...]] = tuple(f"*{extension}" for extension in EXTENSIONS)

    def takes(self, path: Path) -> bool:
        """See the base class."""
        return bool(file_extension(path, EXTENSIONS))

    def find_images(self, search: Search) -> list[Path]:
        """See the base class; ACDC's ``_4d`` cines are left out where their frames lie beside them."""
        found = search.with_extension(EXTENSIONS)
        return _drop_cines([path for path in found if not search.names_reference(path, EXTENSIONS)])

    def case_name(self, image: Path, root: Path) -> str:
        """See the base class."""
        return (image.relative_to(root).parent / without_extension(image, EXTENSIONS)).as_posix()

    def find_reference(self, image: Path, search: Search) -> Path | None:
        """See the base class."""
        return search.reference_file(image, EXTENSIONS)

    def find_references(self, search: Search) -> list[Path]:
        """See the base class."""
        return [path for path in search.with_extension(EXTENSIONS) if search.names_reference(path, EXTENSIONS)]

    def find_masks(self, search: Search) -> list[dict[str, str]]:
        """See the base class."""
        return [
            {"case": self.case_name(path, search.root), "form": self.name, "label": str(path)}
            for path in search.with_extension(EXTENSIONS)
        ]

    def read_image(self, item: Item, frames: Frames = "all") -> MetaTensor:
        """See the base class and :func:`read_volume`."""
        return read_volume(item["image"], frames)

    def read_mask(self, item: Item) -> MetaTensor:
        """See the base class."""
        return read_volume(item["label"])

    def numbering(self, item: Item, label_map: LabelMap) -> LabelMap:
        """As the file's label table says, if it has one, else as the data set's own files.

        Raises:
            BadCaseError: when the table names other classes.
        """
        path = item["label"]
        table = read_label_table(open_nifti(path)) if is_nifti(path) else {}
        if not table:
            return label_map
        classes = {number: name for number, name in label_map.labels.items() if number}
        if table != classes:
            raise BadCaseError(
                f"{path}: found the classes {table} in its header; allowed: {classes} of {label_map.name}; fix: choose "
                "the label map that the file was made with"
            )
        return label_map.of_class_numbers()

    def _is_on_grid(self, mask: nib.Nifti1Image, item: Item) -> bool:
        if not is_nifti(item["image"]):
            return True
        image = open_nifti(item["image"])
        shape = (*image.shape, 1, 1)[:3]
        return mask.shape == image.shape and is_same_grid(mask.affine, image.affine, shape)


def _drop_cines(images: list[Path]) -> list[Path]:
    framed = {
        (path.parent, without_extension(path, EXTENSIONS).split("_frame")[0])
        for path in images
        if "_frame" in path.name
    }

    def is_doubled(path: Path) -> bool:
        match = _CINE.fullmatch(without_extension(path, EXTENSIONS))
        return match is not None and (path.parent, match["patient"]) in framed

    return [path for path in images if not is_doubled(path)]


class NiftiReader(NibabelReader):
    """MONAI's NIfTI reader without its silent change of affines that disagree with the voxel sizes.

    The mask goes back with the header of the file, so the image must be seen where that header puts it.
    """

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> nib.Nifti1Image:
        """Opens one file; its voxels are read by ``get_data``."""
        self.filenames = ensure_tuple(data)
        path = self.filenames[0]
        if str(path).lower().endswith(".gz"):
            check_gzip(path)
        return open_nifti(path)

    def _get_array_data(self, img: nib.Nifti1Image, filename: str) -> np.ndarray:
        dtype = img.get_data_dtype()
        if dtype.kind not in "iuf":
            raise BadCaseError(
                f"{filename}: found voxels of type {dtype}; allowed: one real number per voxel; "
                "fix: save one channel, or the magnitude"
            )
        return super()._get_array_data(img, filename)


def read_volume(path: str | Path, frames: Frames = "all") -> MetaTensor:
    """Reads one file, with every surprise of it ruled out or named.

    A 2D image (H, W) becomes (1, H, W, 1), a 3D one (1, H, W, D), a 4D cine (H, W, D, T) becomes (T, H, W, D). The
    metadata hold what a mask must go back to, and which frames of a cine were taken.

    Args:
        path: the file.
        frames: of a 4D file; ignored for 2D and 3D.

    Returns:
        (C, H, W, D), float32.

    Raises:
        BadCaseError: when the file can't be read to its end, isn't 2D to 4D, has an axis of size 0, voxels that are
            no finite real numbers, or an affine that can't be inverted.
    """
    path = str(path)
    _check_readable(path)
    with unreadable_is_a_bad_case(
        f"{path}: found {Path(path).stat().st_size} bytes that can't be read as a volume",
        "allowed: a whole NIfTI, NRRD or MetaImage file; fix: copy or export it again",
    ):
        image: Any = _reader()(path)
    _check_shape(path, tuple(image.shape))
    matrix = np.asarray(image.meta.get(MetaKeys.ORIGINAL_AFFINE, image.affine), dtype=np.float64)
    affine = checked_affine(path, matrix)
    array = finite_voxels(path, image.as_tensor())
    meta = {**image.meta, ORIGINAL_SHAPE: np.asarray(array.shape)}
    if array.ndim == 4:
        chosen = _chosen_frames(path, frames, array.shape[3])
        array = array[..., chosen].permute(3, 0, 1, 2)
        meta[FRAMES] = np.asarray(chosen)
    else:
        array = array.reshape(1, *array.shape, *(1,) * (3 - array.ndim))
    return volume_tensor(path, array, affine, meta)


@cache
def _reader() -> LoadImage:
    """One for all files: MONAI looks for its readers' packages whenever a loader is made."""
    reader = LoadImage(dtype=np.float32, image_only=True)
    reader.register(NiftiReader())
    return reader


def _check_readable(path: str) -> None:
    if not Path(path).is_file():
        raise BadCaseError(f"{path}: found no such file; fix: check the path and the links in the folder")
    readers = {".nrrd": ("itk", "nrrd"), ".mha": ("itk",)}.get(file_extension(path, EXTENSIONS), ())
    if readers and not any(optional_import(reader)[1] for reader in readers):
        raise BadCaseError(
            f"{path}: found no reader for this kind of file; fix: pip install itk, or convert to .nii.gz"
        )


def _check_shape(path: str, shape: tuple[int, ...]) -> None:
    if 0 in shape:
        raise BadCaseError(f"{path}: found shape {shape} with an axis of size 0; allowed: ≥ 1; fix: export it again")
    # a fourth axis is time in NIfTI, but colour or a vector in the other kinds
    if len(shape) not in ((2, 3, 4) if is_nifti(path) else (2, 3)):
        raise BadCaseError(
            f"{path}: found an array of {len(shape)} dimensions, shape {shape}; allowed: 2 (one slice), 3 (a volume), "
            "in NIfTI also 4 (a cine, time last); fix: split it into volumes"
        )


def _chosen_frames(path: str, frames: Frames, count: int) -> list[int]:
    if isinstance(frames, str):
        if frames != "all":
            raise UsageError(f"frames={frames!r}: allowed are 'all', an index, or a list of indices")
        return list(range(count))
    chosen = [int(frame) for frame in np.atleast_1d(frames)]
    outside = [frame for frame in chosen if not 0 <= frame < count]
    if outside:
        raise BadCaseError(f"{path}: found {count} frames, asked for {outside}; allowed: 0 to {count - 1}")
    return chosen
