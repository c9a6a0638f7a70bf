# SPDX-License-Identifier: Apache-2.0
"""What ``calibrate`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "calibrate a bundle's expected Dice on labelled cases, for use without references"
EXAMPLE = "pranet-monai calibrate acdc /path/to/ACDC"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``calibrate``."""
    with_bundle_names(parser.add_argument("bundle", metavar="BUNDLE", help="name or folder of the bundle"))
    parser.add_argument("data", type=path_argument, metavar="DATA", help="folder of images with the reference masks")
    parser.add_argument("--split", metavar="NAME", help="a known split or a .json file (default: the bundle's)")
    parser.add_argument(
        "--part",
        nargs="+",
        metavar="PART",
        help="part of the split that the weights haven't been trained on (default: its validation part)",
    )
    parser.add_argument(
        "--folds",
        type=path_argument,
        metavar="DIR",
        help="in place of --split and --part: output of `pranet-monai train … --folds N`; each patient is segmented by "
        "the network that wasn't trained on it, so that weights trained on all patients can be calibrated",
    )
    parser.add_argument(
        "--copies", type=int, default=3, metavar="N", help="degraded copies of each case (default: %(default)s)"
    )
    parser.add_argument(
        "--examples", type=path_argument, metavar="CSV",
        help="file that keeps the measurements; cases in it with the same weights aren't run again",
    )  # fmt: skip
    parser.add_argument(
        "--output",
        type=path_argument,
        metavar="FILE",
        help="file to write (default: models/quality.json of the bundle)",
    )
    parser.add_argument("--device", help="device, such as cpu, cuda or cuda:1 (default: the GPU, if there is one)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
