# SPDX-License-Identifier: Apache-2.0
"""Words that only this machine knows, for completion by the shell."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["with_bundle_names"]


def with_bundle_names(argument: argparse.Action) -> None:
    """Let the shell offer the bundles of this machine for an argument, beside files."""
    argument.completer = _bundle_names  # type: ignore[attr-defined]  # where argcomplete looks


def _bundle_names(prefix: str, **_: Any) -> list[str]:
    from argcomplete.completers import FilesCompleter
    from pranet_monai.bundle_store.find import bundle_names

    return [*bundle_names(), *FilesCompleter(["zip"])(prefix)]
