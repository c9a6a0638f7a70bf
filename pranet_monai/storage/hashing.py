# SPDX-License-Identifier: Apache-2.0
"""The hash that a file is recognised by."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

__all__ = ["file_sha256", "stream_sha256"]

BLOCK_BYTES = 1 << 20


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes in lower-case hex, read in blocks so that a large file needs no memory."""
    with open(path, "rb") as file:
        return stream_sha256(file)


def stream_sha256(stream: BinaryIO) -> str:
    """The SHA-256 of what is left to read, as :func:`file_sha256`."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
