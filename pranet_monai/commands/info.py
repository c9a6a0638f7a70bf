# SPDX-License-Identifier: Apache-2.0
"""What ``info`` asks for."""

from __future__ import annotations

import argparse

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "list networks and backbones with sizes, checkpoints and licences"
EXAMPLE = "pranet-monai info networks --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``info``."""
    parser.add_argument("topic", choices=["networks"], help="what to list")
    parser.add_argument("--json", action="store_true", help="machine-readable")
