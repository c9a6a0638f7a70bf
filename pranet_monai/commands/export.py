# SPDX-License-Identifier: Apache-2.0
"""What ``export`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.names import FORMATS
from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "export a bundle's network to a file for other programs, or for segment --runtime FILE"
EXAMPLE = "pranet-monai export acdc --format onnx --output acdc.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``export``."""
    with_bundle_names(
        parser.add_argument("bundle", metavar="BUNDLE", help="name, folder or packed zip of a bundle with weights")
    )
    parser.add_argument(
        "--format", required=True, choices=FORMATS, help="format of the file: %(choices)s", metavar="FORMAT"
    )
    parser.add_argument(
        "--output",
        type=path_argument,
        metavar="FILE",
        help="file to write (default: the bundle's name, in the current folder)",
    )
