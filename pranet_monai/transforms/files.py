# SPDX-License-Identifier: Apache-2.0
"""Names of files: which volumes and photographs we read, and where the mask of each goes."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib

from pranet_monai.errors import BadCaseError

__all__ = [
    "PHOTOGRAPH_EXTENSIONS",
    "VOLUME_EXTENSIONS",
    "check_gzip",
    "file_extension",
    "file_stem",
    "is_nifti",
    "is_photograph",
    "mask_path",
    "open_nifti",
    "unreadable_is_a_bad_case",
    "volume_extension",
    "volume_stem",
]

VOLUME_EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".mha")
PHOTOGRAPH_EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def file_extension(path: str | Path, extensions: tuple[str, ...]) -> str:
    """Which of the extensions a file has, in any case; empty where none."""
    name = Path(path).name.lower()
    return next((extension for extension in extensions if name.endswith(extension)), "")


def volume_extension(path: str | Path) -> str:
    """The extension by which a file counts as a volume, in lower case; empty for every other file."""
    return file_extension(path, VOLUME_EXTENSIONS)


def is_photograph(path: str | Path) -> bool:
    """Whether the file's name says photograph."""
    return bool(file_extension(path, PHOTOGRAPH_EXTENSIONS))


def is_nifti(path: str | Path) -> bool:
    """Whether the file's name says NIfTI, the kind that nibabel reads and writes."""
    return volume_extension(path) in (".nii.gz", ".nii")


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


def volume_stem(path: str | Path) -> str:
    """The file's name without its extension: ``a/x.nii.gz`` → ``x``."""
    name = Path(path).name
    return name[: len(name) - len(volume_extension(name))]


def file_stem(path: str | Path) -> str:
    """The name of a volume or a photograph without its extension: ``a/x.jpg`` → ``x``."""
    name = Path(path).name
    return name[: len(name) - len(file_extension(name, VOLUME_EXTENSIONS + PHOTOGRAPH_EXTENSIONS))]


def mask_path(output_dir: str | Path, case: str, postfix: str = "seg", image: str | Path = "") -> Path:
    """Where the mask of a case lies: ``<output_dir>/<sub-folders of the case>/<name>_seg.nii.gz``.

    Args:
        output_dir: of the run.
        case: its name.
        postfix: see above.
        image: the image's file; the mask of a photograph is a ``.png``.
    """
    return Path(output_dir).expanduser() / f"{case}_{postfix}{'.png' if is_photograph(image) else '.nii.gz'}"


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
