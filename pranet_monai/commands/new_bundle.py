# SPDX-License-Identifier: Apache-2.0
"""What ``new-bundle`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "plan a bundle for a labelled folder, ready to train"
EXAMPLE = "pranet-monai new-bundle my_organs --data /path/to/labelled --hours 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``new-bundle``."""
    parser.add_argument("name", metavar="NAME", help="short name of the bundle, such as my_organs")
    parser.add_argument(
        "--data",
        type=path_argument,
        required=True,
        metavar="DIR",
        help="images and their labels, in any form that train knows",
    )
    parser.add_argument(
        "--hours", type=float, default=2.0, metavar="H", help="hours that the training may take (default: %(default)g)"
    )
    parser.add_argument(
        "--output",
        type=path_argument,
        metavar="DIR",
        help="where to put the bundle's folder (default: the user's data folder)",
    )
    parser.add_argument("--kind", choices=("volume", "image"), help="which kind to use if the folder holds both")
    parser.add_argument(
        "--patient", metavar="REGEX", help="finds the patient in the name of a case, such as 'patient[0-9]+'"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
