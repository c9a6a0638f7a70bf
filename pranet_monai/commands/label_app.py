# SPDX-License-Identifier: Apache-2.0
"""What ``label-app`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "make a MONAI Label app of bundles, ready to start: annotate and train from 3D Slicer or OHIF"
EXAMPLE = "pranet-monai label-app heart --bundle acdc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``label-app``."""
    parser.add_argument("folder", type=a_path, metavar="DIR", help="the app's folder, a new one")
    with_bundle_names(
        parser.add_argument(
            "--bundle", nargs="+", required=True, help="names, folders or packed zips of the bundles that it serves"
        )
    )
