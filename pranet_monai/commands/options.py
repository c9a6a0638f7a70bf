# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["positive_count", "path_argument", "add_device_and_set"]


def path_argument(text: str) -> Path:
    """A file or folder; an empty text, as an unset variable of a shell leaves it, isn't taken for the current folder.

    Raises:
        argparse.ArgumentTypeError: there is nothing in it.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("found an empty path; allowed: a file or folder, . for the current folder")
    return Path(text)


def positive_count(text: str) -> int:
    """A whole number, 1 or more.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: whole numbers, 1 or more")
    return int(text)


def add_device_and_set(parser: argparse.ArgumentParser) -> None:
    """``--device``, and ``--set`` for whatever else the bundle's config states."""
    parser.add_argument("--device", help="device, such as cpu, cuda or cuda:1 (default: the GPU, if there is one)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="ID=VALUE", dest="overrides",
        help="any other entry of the bundle's config, a part of it as id#part=value; may be repeated",
    )  # fmt: skip
