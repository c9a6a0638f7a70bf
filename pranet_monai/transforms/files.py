# SPDX-License-Identifier: Apache-2.0
"""Names of volume files: which ones we read, and where the mask of each goes."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib

__all__ = ["VOLUME_EXTENSIONS", "is_nifti", "mask_path", "open_nifti", "volume_extension", "volume_stem"]

VOLUME_EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".mha")


def volume_extension(path: str | Path) -> str:
    """The extension by which a file counts as a volume, in lower case; empty for every other file."""
    name = Path(path).name.lower()
    return next((extension for extension in VOLUME_EXTENSIONS if name.endswith(extension)), "")


def is_nifti(path: str | Path) -> bool:
    """Whether the file's name says NIfTI, the kind that nibabel reads and writes."""
    return volume_extension(path) in (".nii.gz", ".nii")


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


def mask_path(output_dir: str | Path, case: str, postfix: str = "seg") -> Path:
    """Where the mask of a case lies: ``<output_dir>/<sub-folders of the case>/<name>_seg.nii.gz``."""
    return Path(output_dir).expanduser() / f"{case}_{postfix}.nii.gz"
