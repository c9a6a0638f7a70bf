# SPDX-License-Identifier: Apache-2.0
"""Files by name and by content: extensions, NIfTI, gzip, and errors that name the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten

import nibabel as nib
from pranet_monai.errors import BadCaseError

__all__ = [
    "check_gzip",
    "check_is_there",
    "file_extension",
    "is_nibabel",
    "is_nifti",
    "open_nibabel",
    "open_nifti",
    "unpacked_bytes",
    "as_bad_case",
    "without_extension",
]

_BLOCK_BYTES = 1 << 20
_MOST_OF_A_CAUSE = 300  # characters


def file_extension(path: str | Path, extensions: tuple[str, ...]) -> str:
    """Which of the extensions a file has, in any case; empty where none."""
    name = Path(path).name.lower()
    return next((extension for extension in extensions if name.endswith(extension)), "")


def without_extension(path: str | Path, extensions: tuple[str, ...]) -> str:
    """The file's name without its extension: ``a/x.nii.gz`` → ``x``."""
    name = Path(path).name
    return name[: len(name) - len(file_extension(name, extensions))]


def is_nifti(path: str | Path) -> bool:
    """Whether the file's name says NIfTI, the kind that nibabel reads and writes."""
    return bool(file_extension(path, (".nii.gz", ".nii")))


def is_nibabel(path: str | Path) -> bool:
    """Whether the file's name says a kind that nibabel reads: NIfTI, ``.hdr`` (with its ``.img``), FreeSurfer's."""
    return bool(file_extension(path, (".nii.gz", ".nii", ".hdr", ".mgz", ".mgh")))


def check_is_there(path: str | Path) -> None:
    """Refuses a path without a file.

    Raises:
        BadCaseError: there is none, or a link leads nowhere.
    """
    if not Path(path).is_file():
        raise BadCaseError(f"{path}: found no such file; fix: check the path and the links in the folder")


def check_gzip(path: str | Path) -> None:
    """Unpacks a file to its last byte, where its checksum is: nibabel stops before, and accepts damaged voxels.

    Raises:
        OSError: the file isn't gzip, ends early, or its checksum is wrong.
    """
    unpacked_bytes(path)


def unpacked_bytes(path: str | Path, most: int | None = None) -> int:
    """How many bytes gzip data unpacks to, block by block, so that it needs no memory.

    Args:
        path: of the file.
        most: stop beyond; the answer is then somewhere above, and the checksum wasn't seen.

    Raises:
        OSError: the file isn't gzip, ends early, or its checksum is wrong.
    """
    found = 0
    try:
        with gzip.open(path) as stream:
            while (most is None or found <= most) and (block := stream.read(_BLOCK_BYTES)):
                found += len(block)
    except (EOFError, zlib.error) as error:
        raise OSError(f"damaged gzip data: {error}") from error
    return found


def open_nibabel(path: str | Path) -> nib.spatialimages.SpatialImage:
    """Opens a file of a kind that :func:`is_nibabel` knows; its voxels are read when they are asked for.

    Raises:
        nibabel.filebasedimages.ImageFileError: when the file is of another kind.
    """
    image = nib.load(path)
    if not isinstance(image, (nib.AnalyzeImage, nib.MGHImage)):  # NIfTI-1 and -2 are Analyze images to nibabel
        raise nib.filebasedimages.ImageFileError(f"{path} is a {type(image).__name__}, not NIfTI, Analyze or MGH")
    return image


def open_nifti(path: str | Path) -> nib.Nifti1Image:
    """Opens a single NIfTI-1 or NIfTI-2 file; its voxels are read when they are asked for.

    Raises:
        nibabel.filebasedimages.ImageFileError: when the file is of another kind.
    """
    image = open_nibabel(path)
    if not isinstance(image, nib.Nifti1Image):  # NIfTI-2 images are NIfTI-1 images to nibabel
        raise nib.filebasedimages.ImageFileError(f"{path} is a {type(image).__name__}, not NIfTI")
    return image


@contextmanager
def as_bad_case(found: str, advice: str) -> Iterator[None]:
    """Around a reader's work: whatever it raises, OSError to zlib.error, becomes a BadCaseError with the cause in it.

    Args:
        found: begins the message: the file, and that it can't be read as what.
        advice: ends it: what is allowed, and the fix.

    Raises:
        BadCaseError: one from within as it is, or the one that is made here.
    """
    try:
        yield
    except BadCaseError:
        raise
    except Exception as error:
        what = "it holds Python objects, which aren't loaded" if "allow_pickle" in str(error) else _in_short(error)
        raise BadCaseError(f"{found} ({what}); {advice}") from error


def _in_short(error: Exception) -> str:
    """ITK fills pages."""
    return shorten(f"{type(error).__name__}: {error}", _MOST_OF_A_CAUSE, placeholder=" …")
