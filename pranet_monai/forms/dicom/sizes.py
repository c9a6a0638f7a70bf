# SPDX-License-Identifier: Apache-2.0
"""How many bytes a file becomes in memory, weighed before they are taken."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from monai.utils import optional_import
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.dicom.places import unpacked_size
from pranet_monai.storage.memory import available_memory, readable_bytes

__all__ = ["check_inflated_size", "check_size"]

COPIES = 3
"""How often the bytes of a file are in memory while it is decoded."""

SMALL_FILE = 1 << 20
"""Bytes below which a file is read without asking how much memory is left, which takes as long as reading it."""

_DEFLATED = "1.2.840.10008.1.2.1.99"
_STEP = 1 << 20


def check_size(place: str) -> None:
    """Refuses what a small zip unpacks to, or a file that is cut off in a disk of nothing.

    Raises:
        BadCaseError: when memory doesn't hold it.
    """
    found = unpacked_size(place)
    most = _most() if found > SMALL_FILE else None
    if most is not None and found > most:
        raise _too_large(place, readable_bytes(found), most)


def check_inflated_size(place: str, file: BinaryIO) -> None:
    """Refuses a file of deflated syntax that unpacks to too much: pydicom unpacks all of it for its header.

    Args:
        place: the file, for the message.
        file: opened, at its beginning, where it is left.

    Raises:
        BadCaseError: when memory doesn't hold it.
    """
    reader, _ = optional_import("pydicom.filereader")
    reader.read_preamble(file, force=True)
    # the file's first part, which isn't deflated: read as pydicom reads it, whatever length it claims to have
    meta = reader.read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") == _DEFLATED:
        most = _most()
        if most is not None and _inflates_to_more(file, most):
            raise _too_large(place, f"deflated data of more than {readable_bytes(most)}", most)
    file.seek(0)


def _inflates_to_more(file: BinaryIO, most: int) -> bool:
    inflater, found = zlib.decompressobj(-zlib.MAX_WBITS), 0
    packed = file.read(_STEP)
    while packed and not inflater.eof:
        found += len(inflater.decompress(packed, _STEP))
        if found > most:
            return True
        packed = inflater.unconsumed_tail or file.read(_STEP)
    return False


def _most() -> int | None:
    """Bytes that a file may have; None where nothing tells."""
    available = available_memory()
    return None if available is None else available // COPIES


def _too_large(place: str, found: str, most: int) -> BadCaseError:
    return BadCaseError(
        f"{place}: found {found}; allowed: {readable_bytes(most)}, a {COPIES}rd of the memory that is available now; "
        "fix: export it again, or use a machine with more memory"
    )
