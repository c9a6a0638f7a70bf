# SPDX-License-Identifier: Apache-2.0
"""What ``import-checkpoint`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "import the authors' checkpoint as a bundle's weights"
EXAMPLE = "pranet-monai import-checkpoint EMCAD_Synapse.pth --bundle synapse"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``import-checkpoint``."""
    parser.add_argument(
        "checkpoint", type=path_argument, metavar="FILE", help="the authors' checkpoint, such as RES-V2.pth"
    )
    target = parser.add_mutually_exclusive_group()
    with_bundle_names(target.add_argument("--bundle", help="name or folder of the bundle that gets the weights"))
    target.add_argument(
        "--output",
        type=path_argument,
        metavar="WEIGHTS",
        help="file for the weights, with this project's parameter names",
    )
