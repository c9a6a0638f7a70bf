# SPDX-License-Identifier: Apache-2.0
"""Where DICOM files lie: in folders, with or without an extension, and in zips."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
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
    "is_readable_zip",
    "open_file",
    "relative_name",
    "size_and_time",
    "unpacked_size",
    "zips_in_zip",
]

EXTENSIONS = (".dcm", ".dicom", ".ima")
"""What such a file may be called; scanners also name files IM0001, or by a number with dots."""

_ZIP, _IN_ZIP, _ENCRYPTED = (".zip",), "!/", 1
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
        with _zip(archive).open(member) as packed:
            yield packed  # type: ignore[misc]  # typed as IO[bytes]
    except (zipfile.BadZipFile, KeyError, RuntimeError, EOFError, zlib.error) as error:  # RuntimeError: encrypted
        raise OSError(f"{archive}: {error}") from error


def _zip(archive: str) -> zipfile.ZipFile:
    """A zip, left open until another one is asked for, as each opening reads its whole table.

    Raises:
        OSError: it can't be opened.
    """
    # a process that was forked has to open its own: the place that is read from would move under the other's feet
    return _opened_zip(archive, size_and_time(archive), os.getpid())


@lru_cache(maxsize=1)
def _opened_zip(archive: str, stamp: tuple[int, int], process: int) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except Exception as error:  # a damaged table leads zipfile anywhere
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
    return _zip(archive).getinfo(member).file_size if member else Path(place).stat().st_size


def is_readable_zip(path: Path) -> bool:
    """Whether a zip can be opened, and isn't encrypted from first to last."""
    try:
        members = _zip(str(path)).infolist()
    except OSError:
        return False
    return not members or not all(info.flag_bits & _ENCRYPTED for info in members)


def zips_in_zip(path: Path) -> list[str]:
    """The zips inside of a zip, which aren't looked into."""
    if not is_readable_zip(path):
        return []
    return [f"{path}{_IN_ZIP}{name}" for name in _zip(str(path)).namelist() if file_extension(name, _ZIP)]


def _in_zip(path: Path) -> Iterator[str]:
    if not is_readable_zip(path):
        return
    archive = _zip(str(path))
    for name in sorted(info.filename for info in archive.infolist() if not info.is_dir()):
        if _may_be_dicom(Path(name).name) and _may_begin_as_dicom(archive, name):
            yield f"{path}{_IN_ZIP}{name}"


def _may_begin_as_dicom(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether a member does; also of one that can't be opened, as whoever reads it says so."""
    try:
        with archive.open(name) as packed:
            return _begins_as_dicom(packed)
    except Exception:  # noqa: BLE001 - each way of packing has errors of its own
        return True


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
