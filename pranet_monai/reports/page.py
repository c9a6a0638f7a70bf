# SPDX-License-Identifier: Apache-2.0
"""index.html."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_page(folder: Path, *args: Any) -> None:
    """Write ``index.html`` into a report folder."""
