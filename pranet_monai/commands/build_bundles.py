# SPDX-License-Identifier: Apache-2.0
"""What ``build-bundles`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "build the bundles' configs from their fragments"
EXAMPLE = "pranet-monai build-bundles --check"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``build-bundles``."""
    parser.add_argument(
        "root", nargs="?", type=path_argument, metavar="FOLDER", help="folder of the bundles (default: the checkout's)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not up to date")
