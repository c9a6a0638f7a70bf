# SPDX-License-Identifier: Apache-2.0
"""The table of bundles in the project's README, taken from what the bundles hold."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pranet_monai.apps.info import describe_bundle
from pranet_monai.bundle_store import Bundle

__all__ = ["fill_bundles"]

MARKED = re.compile(r"(?<=<!-- bundles -->\n).*?(?=<!-- end of bundles -->)", re.DOTALL)
HEAD = "| bundle | segments | on | Dice | MB |\n|---|---|---|---|---|"


def fill_bundles(page: Path, folders: Sequence[Path]) -> str:
    """The text of a page with what stands between ``<!-- bundles -->`` and ``<!-- end of bundles -->`` made anew.

    Args:
        page: Markdown; without the marks its text stays as it is.
        folders: the bundles'. Those with weights get a row each, the others are named below.
    """
    bundles = sorted(map(Bundle, folders), key=lambda bundle: bundle.short_name)
    described = [(describe_bundle(bundle), _link(bundle, page.parent)) for bundle in bundles]
    rows = [_row(facts, link) for facts, link in described if facts["weights"]]
    others = [_other(facts, link) for facts, link in described if not facts["weights"]]
    text = "\n".join(
        [HEAD, *rows, "", f"To train, or to import the authors' checkpoint into: {', '.join(others)}.", ""]
    )
    return MARKED.sub(lambda _: text, page.read_text(encoding="utf-8"))


def _link(bundle: Bundle, start: Path) -> str:
    card = Path(os.path.relpath(bundle.folder / "docs" / "README.md", start)).as_posix()
    return f"[`{bundle.short_name}`]({card})"


def _row(facts: Mapping[str, Any], link: str) -> str:
    dice = (
        "" if facts["dice"] is None else f"{facts['dice']:.3f} (n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{facts['cases']})"
    )
    organs = ", ".join(facts["organs"]).replace("_", " ")
    return f"| {link} | {organs} | {facts['images']} | {dice} | {facts['weights_mb']} |"


def _other(facts: Mapping[str, Any], link: str) -> str:
    return f"{link} (`{facts['official_checkpoint']}`)" if facts["official_checkpoint"] else link
