# SPDX-License-Identifier: Apache-2.0
"""What ``view`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import path_argument, positive_count

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "review a run's masks in the browser: accept or reject them"
EXAMPLE = "pranet-monai view results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``view``."""
    parser.add_argument("results", type=path_argument, metavar="RESULTS", help="output folder of pranet-monai segment")
    parser.add_argument(
        "--images", type=path_argument, metavar="DIR", help="folder of the images, if they were moved since the run"
    )
    parser.add_argument("--open", action="store_true", help="open the page in this machine's browser")
    parser.add_argument("--port", type=positive_count, metavar="N", help="port of the page (default: any free port)")
    parser.add_argument(
        "--idle-minutes", type=positive_count, default=30, metavar="N",
        help="stop this many minutes after the page was closed (default: %(default)s)",
    )  # fmt: skip
