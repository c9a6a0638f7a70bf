# SPDX-License-Identifier: Apache-2.0
"""What ``new-bundle`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "plan a bundle for a labelled folder, ready to train"
EXAMPLE = "pranet-monai new-bundle my_organs --data /path/to/labelled --hours 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``new-bundle``."""
    parser.add_argument("name", metavar="NAME", help="short name of the bundle, such as my_organs")
    parser.add_argument(
        "--data",
        type=a_path,
        required=True,
        metavar="DIR",
        help="images and their labels, in any form that train knows",
    )
    parser.add_argument("--hours", type=float, default=2.0, metavar="H", help="for its training (%(default)g)")
    parser.add_argument(
        "--output", type=a_path, metavar="DIR", help="gets the bundle's folder (default: the user's data folder)"
    )
    parser.add_argument("--kind", choices=("volume", "image"), help="where the folder holds both")
    parser.add_argument(
        "--patient", metavar="REGEX", help="finds in a case's name whose it is, such as 'patient[0-9]+'"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
