# SPDX-License-Identifier: Apache-2.0
"""What every page of the report has around its content: style, script, tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources
from string import Template
from typing import NamedTuple

from pranet_monai.reports.markup import Markup, element
from pranet_monai.reports.measures import plain_name

__all__ = ["Section", "organ_heading", "page_shell", "table"]


class Section(NamedTuple):
    """A part of the page that its list of contents links to.

    Attributes:
        name: of its anchor.
        title: its heading.
        content: what is below the heading.
    """

    name: str
    title: str
    content: Markup

    def markup(self) -> Markup:
        """Heading and content."""
        return element("section", element("h2", self.title), self.content, id=self.name)

    @staticmethod
    def contents(sections: Sequence[Section]) -> Markup:
        """Links to sections."""
        links = (element("a", section.title, href=f"#{section.name}") for section in sections)
        return element("nav", *links, aria_label="Sections")


def page_shell(title: str, body: Markup) -> str:
    """A whole HTML document that needs no other file.

    Args:
        title: of the window.
        body: content of the page.
    """
    assets = resources.files(__package__) / "assets"
    return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        style=(assets / "page.css").read_text(encoding="utf-8"),
        script=(assets / "page.js").read_text(encoding="utf-8"),
        body=body,
    )


def table(headings: Sequence[str], rows: Sequence[Markup], text_columns: int = 1) -> Markup:
    """A table that scrolls sideways where the window is narrow.

    Args:
        headings: of the columns.
        rows: ``tr`` elements.
        text_columns: number of leading columns that hold text, set to the left.
    """
    head = [
        element("th", heading, scope="col", class_="text" if index < text_columns else None)
        for index, heading in enumerate(headings)
    ]
    content = element("table", element("thead", element("tr", *head)), element("tbody", *rows))
    return element("div", content, class_="scroll")


def organ_heading(organ: str, color: str) -> Markup:
    """First cell of an organ's row, with its colour in the pictures."""
    return element("th", element("span", class_="swatch", style=f"background:{color}"), plain_name(organ), scope="row")
