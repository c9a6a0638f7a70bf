# SPDX-License-Identifier: Apache-2.0
"""The hash that a file is recognised by."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

__all__ = ["file_sha256", "stream_sha256"]

BLOCK_BYTES = 1 << 20


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes in lower-case hex, read in blocks so that a large file needs no memory.

    Recent results are kept as long as the file stays as it is: weights are recognised by several parts
    of a run.
    """
    path = os.fspath(path)
    known = os.stat(path)
    return _sha256(path, (known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns))


@lru_cache(maxsize=16)
def _sha256(path: str, version: tuple[int, ...]) -> str:
    with open(path, "rb") as file:
        return stream_sha256(file)


def stream_sha256(stream: BinaryIO) -> str:
    """The SHA-256 of what is left to read, as :func:`file_sha256`."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
