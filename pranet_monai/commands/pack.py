# SPDX-License-Identifier: Apache-2.0
"""What ``pack`` asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "pack a bundle into one zip that also runs without this package"
EXAMPLE = "pranet-monai pack acdc --output-dir dist"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``pack``."""
    with_bundle_names(parser.add_argument("bundle", metavar="BUNDLE", help="name or folder, such as acdc"))
    parser.add_argument(
        "--output-dir",
        type=path_argument,
        default=Path("."),
        metavar="DIR",
        help="folder for the zip file (default: the current one)",
    )
