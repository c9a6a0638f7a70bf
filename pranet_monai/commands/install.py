# SPDX-License-Identifier: Apache-2.0
"""What ``install`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "install a packed bundle, so that its name works from any folder"
EXAMPLE = "pranet-monai install acdc_emcad_dsra_segmentation_v0.2.0.zip"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``install``."""
    parser.add_argument(
        "source", type=path_argument, metavar="ZIP|FOLDER",
        help="a zip of pranet-monai pack, or a bundle's folder; a bundle can run code: install only what you trust",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace an installed bundle of this name")
