# SPDX-License-Identifier: Apache-2.0
"""What ``compare`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.names import METRICS
from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "test whether two evaluations of the same cases differ"
EXAMPLE = "pranet-monai compare judged other"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``compare``."""
    parser.add_argument("a", type=path_argument, metavar="A", help="metrics.csv, or folder of a report")
    parser.add_argument("b", type=path_argument, metavar="B", help="the same of the other evaluation")
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=["dice", "hd95_mm"], help="metrics to print")
    parser.add_argument(
        "--leave-out-rejected", action="store_true",
        help="leave out cases that were rejected in pranet-monai view, in A or in B",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=path_argument, metavar="DIR", help="write comparison.csv and comparison.json there"
    )
