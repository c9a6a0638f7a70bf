# SPDX-License-Identifier: Apache-2.0
"""Paths as people give them on the command line and in configs, and this package's folders on their machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pranet_monai.errors import UsageError

__all__ = ["given_path", "user_cache", "user_data"]


def user_cache() -> Path:
    """This package's folder for what can be made again; it may not exist."""
    import platformdirs

    return Path(platformdirs.user_cache_path("pranet_monai", appauthor=False))


def user_data() -> Path:
    """This package's folder for what a user keeps; it may not exist."""
    import platformdirs

    return Path(platformdirs.user_data_path("pranet_monai", appauthor=False))


def given_path(name: str, value: Any) -> Path:
    """The path that was given for an option, with ``~`` for the home folder.

    Args:
        name: of the option.
        value: what was given.

    Raises:
        UsageError: it is empty, which would be the current folder, or no path, as MONAI takes a name such as 2024.
    """
    if not isinstance(value, (str, Path)):
        raise UsageError(
            f"{name} {value!r}: found something that is not a path; allowed: a folder, ./{value} for one of this name"
        )
    if not str(value).strip():
        raise UsageError(f"{name}: found an empty path; allowed: a folder, . for the current one")
    return Path(value).expanduser()
