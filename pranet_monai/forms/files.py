# SPDX-License-Identifier: Apache-2.0
"""Files by name and by content: extensions, NIfTI, gzip, and errors that name the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib

from pranet_monai.errors import BadCaseError

__all__ = [
    "check_gzip",
    "file_extension",
    "is_nifti",
    "open_nifti",
    "unreadable_is_a_bad_case",
    "without_extension",
]


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


def check_gzip(path: str | Path) -> None:
    """Unpacks a file to its last byte, where its checksum is: nibabel stops before, and takes damaged voxels for good.

    Raises:
        OSError: the file isn't gzip, ends early, or its checksum is wrong.
    """
    try:
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                continue
    except (EOFError, zlib.error) as error:
        raise OSError(f"damaged gzip data: {error}") from error


def open_nifti(path: str | Path) -> nib.Nifti1Image:
    """Opens a NIfTI-1 or NIfTI-2 file; its voxels are read when they are asked for.

    Raises:
        nibabel.filebasedimages.ImageFileError: when the file is of another kind.
    """
    image = nib.load(path)
    if not isinstance(image, nib.Nifti1Image):  # NIfTI-2 images are NIfTI-1 images to nibabel
        raise nib.filebasedimages.ImageFileError(f"{path} is a {type(image).__name__}, not NIfTI")
    return image


@contextmanager
def unreadable_is_a_bad_case(found: str, advice: str) -> Iterator[None]:
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
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadCaseError(f"{found} ({what}); {advice}") from error
