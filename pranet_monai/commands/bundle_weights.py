# SPDX-License-Identifier: Apache-2.0
"""What ``bundle-weights`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "put trained weights into a bundle, checked, with their hash"
EXAMPLE = "pranet-monai bundle-weights runs/model_trained.pt --bundle acdc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bundle-weights``."""
    parser.add_argument(
        "weights", type=path_argument, nargs="+", metavar="FILE",
        help="weights of a training, such as model_trained.pt; of several from the same start, their mean",
    )  # fmt: skip
    with_bundle_names(parser.add_argument("--bundle", required=True, help="name or folder, such as acdc"))
    parser.add_argument(
        "--half", action="store_true", help="store 16-bit numbers: half the size; they are loaded as 32-bit"
    )
