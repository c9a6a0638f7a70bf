# SPDX-License-Identifier: Apache-2.0
"""What ``evaluate`` asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.names import LABEL_MAPS, TOLERANCE_MM
from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "measure masks of any origin against references"
EXAMPLE = "pranet-monai evaluate --predictions masks --labels references --label-map acdc --output judged"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``evaluate``."""
    parser.add_argument("--predictions", type=path_argument, required=True, metavar="DIR", help="masks to evaluate")
    parser.add_argument("--labels", type=path_argument, required=True, metavar="DIR", help="the reference masks")
    classes = parser.add_mutually_exclusive_group(required=True)
    classes.add_argument("--label-map", choices=LABEL_MAPS, metavar="NAME", help="one of %(choices)s")
    with_bundle_names(
        classes.add_argument("--bundle", metavar="NAME", help="name or folder of a bundle, whose classes are measured")
    )
    parser.add_argument(
        "--label-numbers", choices=("raw", "classes"), default="raw",
        help="numbers in the reference masks: the data set's own (%(default)s), or the class numbers of the map",
    )  # fmt: skip
    parser.add_argument(
        "--prediction-numbers", choices=("classes", "raw"), default="classes",
        help="numbers in the masks to evaluate (%(default)s); differs only for maps that renumber, such as synapse8",
    )  # fmt: skip
    parser.add_argument("--images", type=path_argument, metavar="DIR", help="images to draw the masks on")
    parser.add_argument(
        "--output",
        type=path_argument,
        default=Path("evaluation"),
        metavar="DIR",
        help="folder for report/ (default: %(default)s)",
    )
    volumes = parser.add_argument_group("for volumes only")
    volumes.add_argument("--hd95", choices=("pooled", "max"), help="definition of HD95 (default: pooled)")
    volumes.add_argument("--tolerance-mm", type=float, metavar="MM", help=f"tolerance of NSD (default: {TOLERANCE_MM})")
    volumes.add_argument(
        "--missed", choices=("diagonal", "inf", "nan"),
        help="distance of an organ that only one mask holds (default: the diagonal of the volume)",
    )  # fmt: skip
    volumes.add_argument("--protocol", choices=("paper",), help="also print the numbers by the papers' protocol")
    parser.add_argument("--no-previews", action="store_true", help="draw no pictures")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
