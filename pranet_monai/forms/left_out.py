# SPDX-License-Identifier: Apache-2.0
"""Files that look like images and are none of a run's cases: they are named at its end, so that none is ignored
silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pranet_monai.forms import FORMS, Search, forms_of
from pranet_monai.forms.files import file_extension

__all__ = ["left_out_files", "left_out_sentence"]

EXAMPLES = 3
"""How many files of a kind are named."""

# kinds that no form reads; longer endings first
_OTHER_KINDS = (
    ".dcm.gz", ".nii.bz2", ".nii.xz", ".nii.zst", ".nii.zip", ".img.gz", ".hdr.gz", ".gipl.gz", ".nhdr", ".img", ".hdr",
    ".dcm", ".dicom", ".ima", ".vtk", ".vti", ".mnc", ".minc", ".par", ".rec", ".raw", ".zraw", ".gipl", ".brik",
    ".head", ".npy", ".czi", ".nd2", ".lsm", ".svs", ".gif", ".webp", ".jp2", ".heic", ".heif",
)  # fmt: skip
_SPECIAL = "pipe, socket or device"


def left_out_files(search: Search, kind: str) -> dict[str, list[str]]:
    """What looks like an image below a folder, but belongs to no case of a kind.

    Args:
        search: of the folder.
        kind: of the run's cases.

    Returns:
        Extension, or what else it is → paths relative to the folder.

    Raises:
        UsageError: a folder can't be listed.
    """
    forms, found = forms_of(kind), dict[str, list[str]]()
    for path in search.files:
        extension = _image_extension(path)
        if extension and not any(form.holds(path) for form in forms):
            found.setdefault(extension, []).append(path.relative_to(search.root).as_posix())
    for form in forms:
        found |= form.left_out(search)
    if search.specials:
        found[_SPECIAL] = [path.relative_to(search.root).as_posix() for path in search.specials]
    return dict(sorted(found.items()))


def left_out_sentence(found: Mapping[str, Sequence[str]]) -> str:
    """What was left out, as one line; empty where nothing was."""
    if not found:
        return ""
    parts = [
        f"{len(paths)} {extension} {'files' if len(paths) > 1 else 'file'} ({', '.join(paths[:EXAMPLES])}"
        f"{', …' if len(paths) > EXAMPLES else ''})"
        for extension, paths in found.items()
    ]
    return f"left out: {', '.join(parts)}: of no kind that this run reads"


def _image_extension(path: Path) -> str:
    """The ending that says that a file is an image, of whatever kind; empty for all other files."""
    known = file_extension(path, _OTHER_KINDS)
    if known:
        return known
    return next((form.files_are(path) for form in FORMS.values() if form.takes(path)), "")
