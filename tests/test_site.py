# SPDX-License-Identifier: Apache-2.0
"""The documentation's site: it builds without a warning, links lead somewhere, and readers fetch nothing elsewhere."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site over http, without which a browser doesn't load the search's index."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("term", "page"),
    [
        ("HD95", "evaluate"), ("DICOM", "dicom"), ("DSRAHead", "networks"), ("--resume", "segment"),
        ("quality", "quality"), ("new-bundle", "train"), ("OHIF", "annotate"), ("exit code", "segment"),
    ],
)  # fmt: skip
def test_search_leads_to_the_page_that_explains(browser: Any, address: str, term: str, page: str) -> None:
    window = browser.new_page(viewport={"width": 1280, "height": 900})
    window.goto(f"{address}design.html", wait_until="networkidle")
    window.click(".md-search__input")
    window.locator(".md-search__input").press_sequentially(term)
    found = window.locator(f'.md-search-result__item:nth-child(-n+2) > a[href^="{address}{page}.html"]').first
    found.wait_for(timeout=60_000)
    window.close()


@pytest.mark.e2e
def test_no_page_is_wider_than_a_phone(browser: Any, address: str, site: Path) -> None:
    window = browser.new_page(viewport={"width": 390, "height": 844})
    faults: list[str] = []
    window.on("console", lambda message: faults.extend([message.text] * (message.type in ("error", "warning"))))
    for path in sorted(site.rglob("*.html")):
        if path.name != "404.html":
            window.goto(address + path.relative_to(site).as_posix())
            if (width := window.evaluate("document.documentElement.scrollWidth")) > 390:
                faults.append(f"{path.relative_to(site)} is {width} pixels wide")
    window.close()
    assert not faults
