# SPDX-License-Identifier: Apache-2.0
"""Reads a file of one volume by MONAI's readers, and excludes, remarks on, or reports whatever is unusual in it."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.config import PathLike
from monai.data import ITKReader, MetaTensor, NibabelReader
from monai.transforms import LoadImage
from monai.utils import MetaKeys, ensure_tuple, optional_import
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.forms.base import Frames
from pranet_monai.forms.claims import check_content, check_memory
from pranet_monai.forms.files import as_bad_case, check_is_there, file_extension, is_nibabel, open_nibabel
from pranet_monai.forms.grid import FRAMES, ORIGINAL_SHAPE, check_range, checked_affine, finite_voxels, volume_tensor
from pranet_monai.forms.nifti_header import (
    check_offset,
    header_remarks,
    millimetres,
    trailing_remark,
    with_voxels_behind_header,
)
from pranet_monai.forms.remarks import REMARKS, remarks_of, with_remarks
from pranet_monai.quiet import quiet

__all__ = ["EXTENSIONS", "chosen_frames", "data_file", "read_volume", "no_decoder_warning"]

EXTENSIONS = (".nii.gz", ".nii", ".hdr", ".mgz", ".mgh", ".nrrd", ".mha", ".mhd")
_READERS = {".nrrd": ("itk", "nrrd"), ".mha": ("itk",), ".mhd": ("itk",)}
# types that ITK's package for Python has no images of: signed bytes (labels of PROMISE12), numpy's whole numbers
_ITK_READS_AS = {"char": "SS", "long": "D", "long_long": "D"}
_MOST_HEADER_BYTES = 1 << 16
_DATA_FILE = re.compile(rb"^ElementDataFile *= *(.+?) *$", re.MULTILINE)
_NRRD_DATA_FILE = re.compile(rb"^data ?file *: *(.+?) *$", re.MULTILINE | re.IGNORECASE)


def read_volume(path: str | Path, frames: Frames = "all") -> MetaTensor:
    """Reads one file.

    A 2D image (H, W) becomes (1, H, W, 1), a 3D one (1, H, W, D), a 4D cine (H, W, D, T) becomes (T, H, W, D). The
    metadata hold what a mask must go back to, which frames of a cine were taken, and ``remarks``.

    Args:
        path: the file.
        frames: of a 4D file; ignored for 2D and 3D.

    Returns:
        (C, H, W, D), float32, with its affine in mm.

    Raises:
        BadCaseError: when the file claims more than memory holds or than is in it, can't be read to its end, isn't 2D
            to 4D, has an axis of size 0, voxels that are no finite real numbers, or an affine that can't be inverted.
    """
    path = str(path)
    _check_readable(path)
    with as_bad_case(
        f"{path}: found {Path(path).stat().st_size} bytes that can't be read as a volume",
        "allowed: a whole file of this kind; fix: copy or export it again",
    ):
        image: Any = _reader()(path)
    with with_remarks(remarks_of(image)):
        return _volume(path, image, frames)


def data_file(path: Path) -> Path | None:
    """The file with the voxels, where they lie beside their header: of ``.hdr`` and ``.mhd``; None for all others."""
    extension = file_extension(path, (".hdr", ".mhd"))
    if extension == ".hdr":
        return next(
            (path.with_suffix(suffix) for suffix in (".img", ".IMG") if path.with_suffix(suffix).is_file()), None
        )
    if extension == ".mhd":
        named = _named_data_file(path)
        return path.parent / named if named and (path.parent / named).is_file() else None
    return None


def _named_data_file(path: Path) -> str:
    """What a text header names as the file of its voxels; empty where it names none."""
    with path.open("rb") as file:
        header = file.read(_MOST_HEADER_BYTES).replace(b"\r", b"")
    is_nrrd = header.startswith(b"NRRD")
    found = (_NRRD_DATA_FILE if is_nrrd else _DATA_FILE).search(header.partition(b"\n\n")[0] if is_nrrd else header)
    named = found[1].decode(errors="replace") if found else ""
    return "" if named == "LOCAL" else named


def _check_voxels_beside(path: Path) -> None:
    """Refuses a header that has its voxels read from anywhere on this machine.

    Raises:
        BadCaseError: they aren't in the file itself or, of ``.mhd``, in one of another name in its folder.
    """
    named = _named_data_file(path)
    beside = file_extension(path, (".mhd",)) and Path(named).name == named != path.name and named != "LIST"
    if named and not beside:
        raise BadCaseError(
            f"{path}: found a header whose voxels are in {named!r}; allowed: in the file itself, of .mhd also one file "
            "beside it; fix: save it as one file"
        )


def _volume(path: str, image: MetaTensor, frames: Frames) -> MetaTensor:
    _check_shape(path, tuple(image.shape))
    matrix = np.asarray(image.meta.get(MetaKeys.ORIGINAL_AFFINE, image.affine), dtype=np.float64)
    affine = checked_affine(path, matrix)
    array = finite_voxels(path, image.as_tensor())
    meta = {**image.meta, ORIGINAL_SHAPE: np.asarray(array.shape)}
    if array.ndim == 4:
        chosen = chosen_frames(path, frames, array.shape[3])
        array = array[..., chosen].permute(3, 0, 1, 2)
        meta[FRAMES] = np.asarray(chosen)
    else:
        array = array.reshape(1, *array.shape, *(1,) * (3 - array.ndim))
    return volume_tensor(path, array, affine, meta)


class _NibabelReader(NibabelReader):
    """MONAI's reader without its silent change of affines that disagree with the voxel sizes, and with the checks.

    The mask goes back with the header of the file, so the image must be seen where that header puts it.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether this reader is for the file."""
        return all(is_nibabel(str(name)) for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> nib.spatialimages.SpatialImage:
        """Opens one file; its voxels are read by ``get_data``."""
        self.filenames = ensure_tuple(data)
        path = Path(self.filenames[0])
        check_offset(path)
        image = with_voxels_behind_header(open_nibabel(path))
        image.extra[REMARKS] = header_remarks(path, image)
        with with_remarks(image.extra[REMARKS]):
            image.extra[REMARKS] += trailing_remark(image, _check_claim(image))
        return image

    def _get_meta_dict(self, img: nib.spatialimages.SpatialImage) -> dict:
        return {**super()._get_meta_dict(img), REMARKS: list(img.extra[REMARKS])}

    def _get_affine(self, img: nib.spatialimages.SpatialImage) -> np.ndarray:
        return millimetres(img)

    def _get_array_data(self, img: nib.spatialimages.SpatialImage, filename: str) -> np.ndarray:
        dtype = img.get_data_dtype()
        with with_remarks(img.extra[REMARKS]):
            if dtype.kind not in "iuf":
                raise BadCaseError(
                    f"{filename}: found voxels of type {dtype}; allowed: one real number per voxel; "
                    "fix: save one channel, or the magnitude"
                )
            return _in_range(str(filename), super()._get_array_data(img, filename))


class _ITKReader(ITKReader):
    """MONAI's ITK reader with the checks."""

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether this reader is for the file."""
        return all(file_extension(str(name), tuple(_READERS)) for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Any:
        """Reads one file."""
        self.path = str(ensure_tuple(data)[0])
        _check_voxels_beside(Path(self.path))
        itk, _ = optional_import("itk")
        header = itk.ImageIOFactory.CreateImageIO(self.path, itk.CommonEnums.IOFileMode_ReadMode)
        if header is not None:  # else the reader says what is wrong
            header.SetFileName(self.path)
            header.ReadImageInformation()
            lengths = [header.GetDimensions(axis) for axis in range(header.GetNumberOfDimensions())]
            check_memory(self.path, [*lengths, header.GetNumberOfComponents()])
            if header.GetNumberOfComponents() != 1:
                raise BadCaseError(
                    f"{self.path}: found {header.GetNumberOfComponents()} numbers per voxel; allowed: one real number "
                    "per voxel; fix: save one channel"
                )
            if type_name := _ITK_READS_AS.get(header.GetComponentTypeAsString(header.GetComponentType())):
                kwargs["pixel_type"] = getattr(itk, type_name)
        return super().read(data, **kwargs)

    def _get_array_data(self, img: Any) -> np.ndarray:
        return _in_range(self.path, super()._get_array_data(img))


@contextmanager
def no_decoder_warning() -> Iterator[None]:
    """MONAI's loaders look for a GPU's DICOM decoder and warn if there is none; no form uses it."""
    with quiet("monai.data.nvimgcodec_pydicom_plugin"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
        yield


@cache
def _reader() -> LoadImage:
    """One for all files: MONAI looks for its readers' packages whenever a loader is made."""
    with no_decoder_warning():
        reader = LoadImage(dtype=np.float32, image_only=True)
    if optional_import("itk")[1]:
        reader.register(_ITKReader())
    reader.register(_NibabelReader())
    return reader


def _check_claim(image: nib.spatialimages.SpatialImage) -> int:
    """Weighs what a header claims against the memory and the file; returns the bytes behind the last voxel."""
    path = str(image.file_map["image"].filename)
    proxy: Any = image.dataobj
    claimed = proxy.offset + math.prod(image.shape) * image.get_data_dtype().itemsize
    if not file_extension(path, (".gz", ".mgz")):  # costs nothing, and a file that is cut off has no other fault
        check_content(path, claimed)
    check_memory(path, image.shape)
    return check_content(path, claimed)


def _in_range(path: str, array: np.ndarray) -> np.ndarray:
    """The array, whose values survive as float32, which MONAI turns it to."""
    if array.dtype.kind == "f" and array.dtype.itemsize > 4 and array.size:
        finite = array[np.isfinite(array)]
        if finite.size:
            check_range(path, float(finite.min()), float(finite.max()))
    return array


def _check_readable(path: str) -> None:
    check_is_there(path)
    readers = _READERS.get(file_extension(path, EXTENSIONS), ())
    if readers and not any(optional_import(reader)[1] for reader in readers):
        raise BadCaseError(
            f"{path}: found no reader for this kind of file; fix: pip install itk, or convert to .nii.gz"
        )


def _check_shape(path: str, shape: tuple[int, ...]) -> None:
    if 0 in shape:
        raise BadCaseError(f"{path}: found shape {shape} with an axis of size 0; allowed: ≥ 1; fix: export it again")
    # a fourth axis is time in NIfTI, but colour or a vector in the other kinds
    if len(shape) not in ((2, 3, 4) if is_nibabel(path) else (2, 3)):
        raise BadCaseError(
            f"{path}: found an array of {len(shape)} dimensions, shape {shape}; allowed: 2 (one slice), 3 (a volume), "
            "in NIfTI also 4 (a cine, time last); fix: split it into volumes"
        )


def chosen_frames(path: str, frames: Frames, count: int) -> list[int]:
    """Which of a cine's frames were asked for.

    Raises:
        UsageError: what was asked for is neither "all" nor a number or several.
        BadCaseError: the cine hasn't got them.
    """
    if isinstance(frames, str):
        if frames != "all":
            raise UsageError(f"frames={frames!r}: allowed are 'all', an index, or a list of indices")
        return list(range(count))
    chosen = [int(frame) for frame in np.atleast_1d(frames)]
    outside = [frame for frame in chosen if not 0 <= frame < count]
    if outside:
        raise BadCaseError(f"{path}: found {count} frames, asked for {outside}; allowed: 0 to {count - 1}")
    return chosen
