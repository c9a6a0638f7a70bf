# SPDX-License-Identifier: Apache-2.0
"""What ``evaluate`` asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

from pranet_monai.commands.names import LABEL_MAPS, TOLERANCE_MM
from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "measure masks of any origin against references"
EXAMPLE = "pranet-monai evaluate --predictions masks --labels references --label-map acdc --output judged"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``evaluate``."""
    parser.add_argument("--predictions", type=a_path, required=True, metavar="DIR", help="masks to judge")
    parser.add_argument("--labels", type=a_path, required=True, metavar="DIR", help="the reference masks")
    parser.add_argument("--label-map", required=True, choices=LABEL_MAPS, metavar="NAME", help="one of %(choices)s")
    parser.add_argument(
        "--label-numbers", choices=("raw", "classes"), default="raw",
        help="what the labels hold: the data set's own numbers (%(default)s), or class numbers of the map already",
    )  # fmt: skip
    parser.add_argument(
        "--prediction-numbers", choices=("classes", "raw"), default="classes",
        help="what the masks to judge hold (%(default)s); only maps that renumber, such as synapse8, tell them apart",
    )  # fmt: skip
    parser.add_argument("--images", type=a_path, metavar="DIR", help="images to draw the masks on")
    parser.add_argument(
        "--output", type=a_path, default=Path("evaluation"), metavar="DIR", help="gets report/ (%(default)s)"
    )
    volumes = parser.add_argument_group("volumes alone")
    volumes.add_argument("--hd95", choices=("pooled", "max"), help="definition of HD95 (pooled)")
    volumes.add_argument("--tolerance-mm", type=float, metavar="MM", help=f"of NSD ({TOLERANCE_MM})")
    volumes.add_argument(
        "--missed", choices=("diagonal", "inf", "nan"),
        help="distance of an organ that only one mask holds (the diagonal of the volume)",
    )  # fmt: skip
    volumes.add_argument("--protocol", choices=("paper",), help="print the papers' numbers as well")
    parser.add_argument("--no-previews", action="store_true", help="draw no pictures")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
