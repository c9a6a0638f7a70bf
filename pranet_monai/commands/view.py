# SPDX-License-Identifier: Apache-2.0
"""What ``view`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import a_count, a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "look at a run's masks in the browser, and accept or reject them"
EXAMPLE = "pranet-monai view results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``view``."""
    parser.add_argument("results", type=a_path, metavar="RESULTS", help="output folder of pranet-monai segment")
    parser.add_argument("--images", type=a_path, metavar="DIR", help="where the images are, if they were moved since")
    parser.add_argument("--open", action="store_true", help="open the page in this machine's browser")
    parser.add_argument("--port", type=a_count, metavar="N", help="of the page's address (default: any that is free)")
    parser.add_argument(
        "--idle-minutes", type=a_count, default=30, metavar="N",
        help="without an open page, after which it stops (default: %(default)s)",
    )  # fmt: skip
