# SPDX-License-Identifier: Apache-2.0
"""The documentation's site: it builds without a warning, links lead somewhere, and readers fetch nothing elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .bundles.conftest import BUNDLES, ROOT

FETCHED = (
    r'(?:<(?:script|img|iframe|source)\b[^>]*?\bsrc(?:set)?=|<link\b[^>]*?\bhref=|url\()["\']?'
    r'((?:https?:)?//[^"\')\s>]+)'
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a dead link, a missing anchor or a docstring that can't be read is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_readers_fetch_nothing_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 30
    assert not {url for page in pages for url in re.findall(FETCHED, page.read_text(encoding="utf-8"))}


def test_every_link_and_picture_of_the_site_is_there(site: Path) -> None:
    """Also those in HTML within Markdown, which the builder doesn't check."""
    dead = []
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its links are absolute, for a server's root
            continue
        for target in re.findall(r'\b(?:href|src|srcset)="([^"#?]+)', page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                dead.append((page.relative_to(site), target))
    assert not dead


def test_model_cards_are_pages(site: Path) -> None:
    for bundle in BUNDLES:
        assert (site / "bundles" / bundle.name / "docs" / "index.html").is_file()


def test_formulas_are_drawn_by_the_browser(site: Path) -> None:
    text = (site / "networks.html").read_text(encoding="utf-8")
    assert "<math" in text and "arithmatex" not in text
