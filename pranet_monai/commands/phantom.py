# SPDX-License-Identifier: Apache-2.0
"""What ``phantom`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "make a sample of synthetic cardiac MR volumes with labels, no patient data"
EXAMPLE = "pranet-monai phantom sample"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``phantom``."""
    parser.add_argument("folder", metavar="FOLDER", type=path_argument, help="folder for imagesTr/ and labelsTr/")
    parser.add_argument(
        "--patients",
        type=int,
        default=2,
        metavar="N",
        help="number of patients, each with two volumes (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
