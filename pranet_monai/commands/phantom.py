# SPDX-License-Identifier: Apache-2.0
"""What ``phantom`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.options import a_path

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "draw a sample of cardiac MR volumes with their labels, no patient data"
EXAMPLE = "pranet-monai phantom sample"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``phantom``."""
    parser.add_argument("folder", type=a_path, help="gets imagesTr/ and labelsTr/")
    parser.add_argument("--patients", type=int, default=2, metavar="N", help="each with two volumes (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other numbers are other patients (%(default)s)")
