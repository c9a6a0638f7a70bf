# SPDX-License-Identifier: Apache-2.0
"""What ``merge`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "put the reports of the shards of a run together: one table, one page; as often as one likes"
EXAMPLE = "pranet-monai merge results"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``merge``."""
    parser.add_argument("output", type=a_path, metavar="OUTPUT", help="the output folder of segment --shard")
    parser.add_argument(
        "--input", type=a_path, metavar="INPUT",
        help="what was segmented: names files there that were left out, and knows the phases of ACDC's frames",
    )  # fmt: skip
