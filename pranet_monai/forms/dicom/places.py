# SPDX-License-Identifier: Apache-2.0
"""Where DICOM files lie: in folders, with or without an extension, and in zips."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, BinaryIO

from pranet_monai.forms.files import file_extension

__all__ = [
    "EXTENSIONS",
    "dicom_files",
    "folder_of",
    "is_dicom_place",
    "open_file",
    "relative_name",
    "size_and_time",
    "unpacked_size",
    "zips_in_zip",
]

EXTENSIONS = (".dcm", ".dicom", ".ima")
"""What such a file may be called; scanners also name files IM0001, or by a number with dots."""

_ZIP, _IN_ZIP = (".zip",), "!/"
_PLACE_IN_ZIP = re.compile(rf"(.+?\.zip){_IN_ZIP}(.+)", re.IGNORECASE | re.DOTALL)
_MARK, _MARK_AT = b"DICM", 128
# how files without the first 128 bytes and the mark begin: with an element of group 2 or 8, its type or length behind
_BARE = re.compile(rb"\x02\0[\0\x01]\0(UL|OB)|\x08\0[\x05\x08\x16]\0([A-Z]{2}|.\0\0\0)", re.DOTALL)
_DIRECTORY = "DICOMDIR"  # a CD's table of contents; its files are looked at themselves


def dicom_files(paths: Iterable[Path]) -> Iterator[str]:
    """The DICOM files among these, those inside of zips as ``archive.zip!/name``.

    A file counts by its extension, or by how it begins where its name has none.
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
    archive, member = _archive_and_member(place)
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
    archive, member = _archive_and_member(place)
    return archive if member else str(Path(place).parent)


def _archive_and_member(place: str) -> tuple[str, str]:
    """A zip and the name inside of it; a plain file and nothing."""
    found = _PLACE_IN_ZIP.fullmatch(place)
    return (found[1], found[2]) if found else (place, "")


def relative_name(place: str, root: Path) -> str:
    """How a file is called in a message: relative to the folder that was given."""
    path = Path(place)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def size_and_time(place: str) -> tuple[int, int]:
    """Changes whenever a file does."""
    found = Path(_archive_and_member(place)[0]).stat()
    return found.st_size, found.st_mtime_ns


def unpacked_size(place: str) -> int:
    """Bytes of a file, inside of a zip those that it unpacks to.

    Raises:
        OSError: when it can't be opened.
    """
    archive, member = _archive_and_member(place)
    return _sizes_in_zip(archive, size_and_time(place))[member] if member else Path(place).stat().st_size


@lru_cache(maxsize=1)
def _sizes_in_zip(archive: str, stamp: tuple[int, int]) -> dict[str, int]:
    """Of all members at once, as each look into a zip reads its whole table; ``stamp`` tells whether it is the same."""
    with zipfile.ZipFile(archive) as opened:
        return {info.filename: info.file_size for info in opened.infolist()}


def zips_in_zip(path: Path) -> list[str]:
    """The zips inside of a zip, which aren't looked into."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [f"{path}{_IN_ZIP}{name}" for name in archive.namelist() if file_extension(name, _ZIP)]
    except (zipfile.BadZipFile, OSError):
        return []


def _in_zip(path: Path) -> Iterator[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
            for name in names:
                if not _may_be_dicom(Path(name).name):
                    continue
                with archive.open(name) as packed:
                    if _begins_as_dicom(packed):
                        yield f"{path}{_IN_ZIP}{name}"
    except (zipfile.BadZipFile, OSError, RuntimeError):  # it is no zip, or encrypted: nothing that can be read
        return


def _may_be_dicom(name: str) -> bool:
    """By its name: .dcm and the like, or no extension, or a number for one."""
    if name.upper() == _DIRECTORY or name.startswith("."):
        return False
    suffix = Path(name).suffix[1:]
    return bool(file_extension(name, EXTENSIONS)) or not suffix or suffix.isdigit()


def _begins_as_dicom(file: IO[bytes]) -> bool:
    start = file.read(_MARK_AT + len(_MARK))
    return start[_MARK_AT:] == _MARK or _BARE.match(start) is not None


def _has_mark(place: str) -> bool:
    try:
        with open_file(place) as file:
            return _begins_as_dicom(file)
    except OSError:
        return False
