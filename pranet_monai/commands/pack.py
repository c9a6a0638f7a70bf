# SPDX-License-Identifier: Apache-2.0
"""What ``pack`` asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "make one zip of a bundle that runs where this package isn't installed"
EXAMPLE = "pranet-monai pack acdc --output-dir dist"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``pack``."""
    with_bundle_names(parser.add_argument("bundle", help="name or folder, such as acdc"))
    parser.add_argument("--output-dir", type=a_path, default=Path("."), help="folder for the zip file (here)")
