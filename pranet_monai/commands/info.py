# SPDX-License-Identifier: Apache-2.0
"""What ``info`` asks for."""

from __future__ import annotations

import argparse

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "list bundles with scores and licences, or networks and backbones with sizes"
EXAMPLE = "pranet-monai info bundles"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``info``."""
    parser.add_argument("topic", choices=["bundles", "networks"], help="what to list")
    parser.add_argument("--json", action="store_true", help="machine-readable")
