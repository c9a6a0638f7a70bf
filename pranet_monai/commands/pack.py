# SPDX-License-Identifier: Apache-2.0
"""What ``pack`` asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "make one zip of a bundle that runs where this package isn't installed"
EXAMPLE = "pranet-monai pack bundles/acdc_emcad_dsra_segmentation --output-dir dist"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``pack``."""
    parser.add_argument("bundle", type=Path, help="folder of the bundle, such as bundles/acdc_emcad_dsra_segmentation")
    parser.add_argument("--output-dir", type=Path, default=Path("."), help="folder for the zip file (here)")
