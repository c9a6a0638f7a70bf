# SPDX-License-Identifier: Apache-2.0
"""The hash that a file is recognised by."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["file_sha256"]

BLOCK_BYTES = 1 << 20


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes in lower-case hex, read in blocks so that a large file needs no memory."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
