# SPDX-License-Identifier: Apache-2.0
"""The documentation's site: it builds without a warning, links lead somewhere, and readers fetch nothing elsewhere."""

from __future__ import annotations

import importlib
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


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "docs" / "api").glob("*.md")))
def test_api_page_shows_what_is_public(site: Path, name: str) -> None:
    """Every class and function that ``__all__`` of the page's modules names; constants need a docstring to be shown."""
    shown = set(re.findall(r'<h3 id="([^"]+)"', (site / "api" / f"{name}.html").read_text(encoding="utf-8")))
    for module in re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api" / f"{name}.md").read_text(encoding="utf-8"), re.M):
        loaded = importlib.import_module(module)
        public = {f"{module}.{each}" for each in loaded.__all__ if callable(getattr(loaded, each)) and each[0] != "_"}
        assert public and public <= shown | {f"{module}.{each}" for each in loaded.__all__ if each.isupper()}


@pytest.mark.parametrize("package", ["data", "engines", "transforms"])
def test_api_reference_has_every_module(package: str) -> None:
    """Packages that re-export nothing are shown module by module."""
    page = (ROOT / "docs" / "api" / f"{package}.md").read_text(encoding="utf-8")
    modules = [path.stem for path in (ROOT / "pranet_monai" / package).glob("*.py") if path.stem != "__init__"]
    assert not [module for module in modules if f"::: pranet_monai.{package}.{module}\n" not in page]


def test_formulas_are_drawn_by_the_browser(site: Path) -> None:
    text = (site / "networks.html").read_text(encoding="utf-8")
    assert "<math" in text and "arithmatex" not in text
