# SPDX-License-Identifier: Apache-2.0
"""What ``check-data`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.names import DATA_SETS
from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "check a data set: what is missing or unusual, and how to get the data"
EXAMPLE = "pranet-monai check-data acdc /path/to/ACDC"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``check-data``."""
    parser.add_argument("dataset", choices=DATA_SETS, metavar="DATASET", help="one of %(choices)s")
    parser.add_argument(
        "folder", nargs="?", type=path_argument, metavar="FOLDER", help="the data; without it: how to get them"
    )
    parser.add_argument(
        "--split", metavar="NAME", help="split whose patients must be there: a known split or a .json file"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
