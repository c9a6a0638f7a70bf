# SPDX-License-Identifier: Apache-2.0
"""What ``check-data`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.names import DATA_SETS
from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "say what of a data set is missing or odd, and how to get it"
EXAMPLE = "pranet-monai check-data acdc /path/to/ACDC"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``check-data``."""
    parser.add_argument("dataset", choices=DATA_SETS, metavar="DATASET", help="one of %(choices)s")
    parser.add_argument("folder", nargs="?", type=a_path, metavar="FOLDER", help="left out: says how to get the data")
    parser.add_argument("--split", metavar="NAME", help="whose patients must be there: a known split or a .json file")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
