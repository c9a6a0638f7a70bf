# SPDX-License-Identifier: Apache-2.0
"""What ``bundle-weights`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "put trained weights into a bundle, checked and with their hash"
EXAMPLE = "pranet-monai bundle-weights runs/model_trained.pt --bundle acdc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bundle-weights``."""
    parser.add_argument(
        "weights", type=a_path, nargs="+", metavar="FILE",
        help="what a training left, such as model_trained.pt; of several, trained from the same start, their mean",
    )  # fmt: skip
    with_bundle_names(parser.add_argument("--bundle", required=True, help="name or folder, such as acdc"))
    parser.add_argument("--half", action="store_true", help="16 bit numbers: half the size, loaded back to 32 bit")
