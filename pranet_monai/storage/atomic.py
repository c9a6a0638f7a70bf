# SPDX-License-Identifier: Apache-2.0
"""Atomic writes: this package writes its files only in this way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A hidden file to write to; it is renamed to ``path`` when the block ends without error.

    Args:
        path: the file to write; its folder is made where it is missing. The hidden name ends as this one does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(
        f".partial.{path.name}"
    )  # always the same, so that the next run clears what a killed one left
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
