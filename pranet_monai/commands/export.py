# SPDX-License-Identifier: Apache-2.0
"""What ``export`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.names import FORMATS
from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "write a bundle's network to a file that other programs run, and segment --runtime FILE, too"
EXAMPLE = "pranet-monai export acdc --format onnx --output acdc.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``export``."""
    with_bundle_names(parser.add_argument("bundle", help="name, folder or packed zip of a bundle with weights"))
    parser.add_argument("--format", required=True, choices=FORMATS, help="of the file: %(choices)s", metavar="FORMAT")
    parser.add_argument("--output", type=a_path, metavar="FILE", help="(the bundle's name, here)")
