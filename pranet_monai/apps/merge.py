# SPDX-License-Identifier: Apache-2.0
"""One report of a run in shards."""

from __future__ import annotations

import argparse

from pranet_monai.apps.bundle_run import merge_run

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Merges; 1 where cases failed or shards haven't ended."""
    try:
        merge_run(args.output, args.input)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
