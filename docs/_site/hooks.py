# SPDX-License-Identifier: Apache-2.0
"""Hooks of the site: the repository's own documents are its pages, so that nothing is written twice.

* README, changelog, contributing guide and every bundle's model card are pages, and what pages link to comes along.
* A link is written as it works in the repository (``../examples/x.yaml``); the site gets it as it works there.
* ``$x$`` and ``$$x$$`` become MathML, which browsers draw themselves: no script, no fonts, nothing fetched.
* Notebooks become pages, shown with the outputs that they hold.
"""

from __future__ import annotations

import html
import os
import posixpath
import re
from base64 import b64encode
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import yaml
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md", "bundles/*/docs/*.md")
LINK = re.compile(r'(?P<open>\]\(|(?:src|srcset|href)=")(?P<target>[^)"#\s:]+)(?P<rest>#[^)"\s]*)?(?=[)"])')
FOLDER_LINK = re.compile(r"\[([^\]]+)\]\(([^)#:]+)\)")
SEARCH_BOOST = {  # of the first pattern that fits; a word in a title counts a thousand times one in the text
    "evaluate.md": 8,  # defines what other pages name
    "segment.md": 5,  # what most readers look for
    "robustness.md": 0.5,
    "CHANGELOG.md": 0.001,
    "robustness_kinds.md": 0.001,
    "quality_measures.md": 0.001,
    "*/training.md": 0.001,
    "api/*": 0.001,
    "CONTRIBUTING.md": 0.1,
    "design.md": 0.1,
}
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """A line for each model card at the end of the section "Bundles"."""
    cards = [{_short_name(card): site_path(card)} for card in _found("bundles/*/docs/README.md")]
    (bundles,) = (entry["Bundles"] for entry in config.nav or [] if "Bundles" in entry)
    bundles.extend(sorted(cards, key=lambda card: next(iter(card))))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The repository's documents, notebooks as Markdown, and every file that a page links to."""
    for pattern in PAGES:
        for path in _found(pattern):
            _add(files, config, path)
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        page = notebook.src_uri.removesuffix(".ipynb") + ".md"
        files.append(File.generated(config, page, content=notebook_page(Path(str(notebook.abs_src_path)))))
    for page in files.documentation_pages():
        for target in _linked(page.content_string, page.src_uri):
            _add(files, config, target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of the repository, made links of the site; those to folders, which a site can't show, made text.

    The page also learns how high the search puts it.
    """
    boost = (factor for pattern, factor in SEARCH_BOOST.items() if fnmatch(page.file.src_uri, pattern))
    page.meta["search"] = {"boost": next(boost, 1)}
    folder = posixpath.dirname(page.file.src_uri)

    def text_of_folder(match: re.Match[str]) -> str:
        return match[1] if _beside(match[2], page.file.src_uri).is_dir() else match[0]

    def moved(match: re.Match[str]) -> str:
        path = _resolve(match["target"], page.file.src_uri)
        target = site_path(path) if path else match["target"]
        if match["open"] != "](" and path:  # HTML, whose links the site's builder leaves as they are
            file = files.get_file_from_path(target)
            link = file.url_relative_to(page.file) if file else target
        else:
            link = posixpath.relpath(target, folder or ".") if path else target
        return match["open"] + link.replace(".ipynb", ".md") + (match["rest"] or "")

    return LINK.sub(moved, FOLDER_LINK.sub(text_of_folder, markdown))


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas as MathML."""

    def drawn(match: re.Match[str]) -> str:
        return convert(html.unescape(match[2]), display="block" if match[1] == "div" else "inline")

    return FORMULA.sub(drawn, content)


def notebook_page(path: Path) -> str:
    """A notebook as Markdown, its pictures within the page."""
    body, resources = MarkdownExporter(preprocessors=[CoalesceStreamsPreprocessor]).from_filename(str(path))
    for name, picture in resources["outputs"].items():
        body = body.replace(f"]({name})", f"](data:image/png;base64,{b64encode(picture).decode()})")
    return body


def site_path(path: Path) -> str:
    """Where a file of the repository lies in the site: what is in docs/ at the top, the rest as it is."""
    return path.relative_to(ROOT).as_posix().removeprefix("docs/")


def _repository_path(site: str) -> str:
    return site if (ROOT / site).is_file() and not (ROOT / "docs" / site).is_file() else f"docs/{site}"


def _beside(target: str, page: str) -> Path:
    return Path(os.path.normpath(ROOT / posixpath.dirname(_repository_path(page)) / target))


def _resolve(target: str, page: str) -> Path | None:
    """The file of the repository that a page's link means, if there is one."""
    path = _beside(target, page)
    return path if path.is_file() and path.is_relative_to(ROOT) else None


def _linked(text: str, page: str) -> Iterator[Path]:
    for match in LINK.finditer(text):
        if path := _resolve(match["target"], page):
            yield path


def _add(files: Files, config: MkDocsConfig, path: Path) -> None:
    if files.get_file_from_path(site_path(path)) is None:
        files.append(File.generated(config, site_path(path), abs_src_path=str(path)))


def _found(pattern: str) -> list[Path]:
    return sorted(path for path in ROOT.glob(pattern) if path.is_file())


def _short_name(card: Path) -> str:
    return yaml.safe_load((card.parents[1] / "bundle.yaml").read_text(encoding="utf-8"))["short_name"]
