# SPDX-License-Identifier: Apache-2.0
"""What ``label-app`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "make a MONAI Label app from bundles: annotate and train from 3D Slicer or OHIF"
EXAMPLE = "pranet-monai label-app heart --bundle acdc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``label-app``."""
    parser.add_argument("folder", type=path_argument, metavar="DIR", help="new folder for the app")
    with_bundle_names(
        parser.add_argument(
            "--bundle", nargs="+", required=True, help="names, folders or packed zips of the bundles that it serves"
        )
    )
