# SPDX-License-Identifier: Apache-2.0
"""Names of volume files: which ones we read, and where the mask of each goes."""

from __future__ import annotations

from pathlib import Path

__all__ = ["VOLUME_EXTENSIONS", "is_nifti", "mask_path", "volume_extension", "volume_stem"]

VOLUME_EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".mha")


def volume_extension(path: str | Path) -> str:
    """The extension by which a file counts as a volume, in lower case; empty for every other file."""
    name = Path(path).name.lower()
    return next((extension for extension in VOLUME_EXTENSIONS if name.endswith(extension)), "")


def is_nifti(path: str | Path) -> bool:
    """Whether the file's name says NIfTI, the kind that nibabel reads and writes."""
    return volume_extension(path) in (".nii.gz", ".nii")


def volume_stem(path: str | Path) -> str:
    """The file's name without its extension: ``a/x.nii.gz`` → ``x``."""
    name = Path(path).name
    return name[: len(name) - len(volume_extension(name))]


def mask_path(output_dir: str | Path, case: str, postfix: str = "seg") -> Path:
    """Where the mask of a case lies: ``<output_dir>/<sub-folders of the case>/<name>_seg.nii.gz``."""
    return Path(output_dir).expanduser() / f"{case}_{postfix}.nii.gz"
