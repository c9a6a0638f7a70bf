# SPDX-License-Identifier: Apache-2.0
"""What ``calibrate`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "learn from labelled cases what Dice to expect of a bundle's masks where there is no label"
EXAMPLE = "pranet-monai calibrate acdc /path/to/ACDC"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``calibrate``."""
    with_bundle_names(parser.add_argument("bundle", metavar="BUNDLE", help="name or folder of the bundle"))
    parser.add_argument("data", type=a_path, metavar="DATA", help="folder of images with the reference masks")
    parser.add_argument("--split", metavar="NAME", help="a known split or a .json file (default: the bundle's)")
    parser.add_argument(
        "--part", nargs="+", metavar="PART", help="of the split, cases the weights haven't seen (its validation part)"
    )
    parser.add_argument(
        "--copies", type=int, default=3, metavar="N", help="copies of each case made worse on purpose (%(default)s)"
    )
    parser.add_argument(
        "--examples", type=a_path, metavar="CSV",
        help="keep what was measured there; cases that it holds for the same weights aren't run again",
    )  # fmt: skip
    parser.add_argument("--output", type=a_path, metavar="FILE", help="default: models/quality.json of the bundle")
    parser.add_argument("--device", help="such as cpu, cuda or cuda:1 (default: the GPU where there is one)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
