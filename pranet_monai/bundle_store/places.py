# SPDX-License-Identifier: Apache-2.0
"""The folders in which bundles are looked for. No other module of the package knows one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pranet_monai
from pranet_monai.errors import UsageError
from pranet_monai.storage.paths import user_cache, user_data

__all__ = ["VARIABLE", "cache_folder", "checkout_folder", "places", "user_folder"]

VARIABLE = "PRANET_MONAI_BUNDLES"
FOLDER = "bundles"


def places() -> Iterator[tuple[str, Path]]:
    """What a place is called, and the folder, which holds bundles or is one; what comes first wins.

    The folders that the variable ``PRANET_MONAI_BUNDLES`` lists (with ``:`` between them, ``;`` on Windows), those of
    the checkout that this package is part of, what ``install`` and ``new-bundle`` have put into the user's data folder,
    and the current folder.

    Raises:
        UsageError: the variable names a folder that isn't there.
    """
    for name in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise UsageError(f"{VARIABLE}={name}: found no such folder; fix: set it to folders that hold bundles")
        yield VARIABLE, folder
    if checkout := checkout_folder():
        yield "checkout", checkout
    yield "installed", user_folder()
    yield "current folder", Path.cwd()


def checkout_folder() -> Path | None:
    """The project's bundles beside this package, where it lies in a checkout (an editable install does)."""
    folder = Path(pranet_monai.__file__).resolve().parent.parent / FOLDER
    return folder if any(folder.glob("*/bundle.yaml")) else None


def user_folder() -> Path:
    """Where ``install`` puts bundles; it may not exist."""
    return user_data() / FOLDER


def cache_folder() -> Path:
    """Where packed bundles are unpacked that are used without being installed; it may not exist."""
    return user_cache() / FOLDER
