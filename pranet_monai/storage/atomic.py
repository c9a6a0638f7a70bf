# SPDX-License-Identifier: Apache-2.0
"""Files that are whole at any moment: the one way in which this package writes what must survive a kill."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["written_whole"]


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A hidden file to write to that gets its name when the block ends well: a killed run leaves no half file.

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
