# SPDX-License-Identifier: Apache-2.0
"""What ``import-checkpoint`` asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "turn the authors' checkpoint into a bundle's weights"
EXAMPLE = "pranet-monai import-checkpoint EMCAD_Synapse.pth --bundle synapse_emcad_dsra_segmentation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``import-checkpoint``."""
    parser.add_argument("checkpoint", type=Path, metavar="FILE", help="the authors' checkpoint, such as RES-V2.pth")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--bundle", type=Path, help="bundle (folder, or its name in bundles) that gets the weights")
    target.add_argument("--output", type=Path, help="file for the weights under our names")
