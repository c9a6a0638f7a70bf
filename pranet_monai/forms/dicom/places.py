# SPDX-License-Identifier: Apache-2.0
"""Where DICOM files lie: in folders, with or without an extension, and in zips."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pranet_monai.forms.files import file_extension

__all__ = ["EXTENSIONS", "dicom_files", "folder_of", "is_dicom_place", "open_file", "relative_name", "size_and_time"]

EXTENSIONS = (".dcm", ".dicom", ".ima")
"""What such a file may be called; scanners also name files IM0001, or by a number with dots."""

_ZIP, _IN_ZIP = (".zip",), "!/"
_MARK, _MARK_AT = b"DICM", 128
_DIRECTORY = "DICOMDIR"  # a CD's table of contents; its files are looked at themselves


def dicom_files(paths: Iterable[Path]) -> Iterator[str]:
    """The DICOM files among these, those inside of zips as ``archive.zip!/name``.

    A file counts by its extension, or by the mark behind its first 128 bytes where its name has none.
    """
    for path in paths:
        if file_extension(path, _ZIP):
            yield from _in_zip(path)
        elif _may_be_dicom(path.name) and (file_extension(path, EXTENSIONS) or _has_mark(str(path))):
            yield str(path)


def is_dicom_place(path: Path) -> bool:
    """Whether a file, a folder or a zip holds DICOM, by names and marks alone; of a folder only what lies in it."""
    paths = sorted(child for child in path.iterdir() if child.is_file()) if path.is_dir() else [path]
    return path.exists() and next(dicom_files(paths), None) is not None


@contextmanager
def open_file(place: str) -> Iterator[BinaryIO]:
    """Opens a file, inside of a zip, too.

    Args:
        place: as :func:`dicom_files` names it.

    Raises:
        OSError: when it can't be opened.
    """
    archive, _, member = place.partition(_IN_ZIP)
    if not member:
        with open(place, "rb") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as packed:
            yield packed  # type: ignore[misc]  # typed as IO[bytes]
    except (zipfile.BadZipFile, KeyError, RuntimeError) as error:  # RuntimeError: it is encrypted
        raise OSError(f"{archive}: {error}") from error


def folder_of(place: str) -> str:
    """The folder, or the zip, that a file lies in."""
    archive, _, member = place.partition(_IN_ZIP)
    return archive if member else str(Path(place).parent)


def relative_name(place: str, root: Path) -> str:
    """How a file is called in a message: relative to the folder that was given."""
    path = Path(place)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def size_and_time(place: str) -> tuple[int, int]:
    """Changes whenever a file does."""
    found = Path(place.partition(_IN_ZIP)[0]).stat()
    return found.st_size, found.st_mtime_ns


def _in_zip(path: Path) -> Iterator[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
            for name in names:
                if not _may_be_dicom(Path(name).name):
                    continue
                with archive.open(name) as packed:
                    if packed.read(_MARK_AT + len(_MARK))[_MARK_AT:] == _MARK:
                        yield f"{path}{_IN_ZIP}{name}"
    except (zipfile.BadZipFile, OSError, RuntimeError):  # it is no zip, or encrypted: nothing that can be read
        return


def _may_be_dicom(name: str) -> bool:
    """By its name: .dcm and the like, or no extension, or a number for one."""
    if name.upper() == _DIRECTORY or name.startswith("."):
        return False
    suffix = Path(name).suffix[1:]
    return bool(file_extension(name, EXTENSIONS)) or not suffix or suffix.isdigit()


def _has_mark(place: str) -> bool:
    try:
        with open_file(place) as file:
            return file.read(_MARK_AT + len(_MARK))[_MARK_AT:] == _MARK
    except OSError:
        return False
