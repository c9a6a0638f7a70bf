# SPDX-License-Identifier: Apache-2.0
"""What ``merge`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "merge the reports of a run's shards into one; may be repeated at any time"
EXAMPLE = "pranet-monai merge results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``merge``."""
    parser.add_argument("output", type=path_argument, metavar="OUTPUT", help="the output folder of segment --shard")
    parser.add_argument(
        "--input", type=path_argument, metavar="INPUT",
        help="input folder of the run, to list the files that were left out and to read ACDC's cardiac phases",
    )  # fmt: skip
