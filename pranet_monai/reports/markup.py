# SPDX-License-Identifier: Apache-2.0
"""HTML and SVG elements whose text is always escaped."""

from __future__ import annotations

from html import escape
from typing import TypeAlias

__all__ = ["Markup", "element", "join"]

VOID = frozenset({"br", "circle", "img", "input", "line", "meta", "rect"})


class Markup(str):
    """Text that is markup already, and isn't escaped again."""


Content: TypeAlias = Markup | str | int | float


def element(name: str, *content: Content, **attributes: Content | bool | None) -> Markup:
    """Make an element.

    Args:
        name: of the element.
        content: what is in it; anything but :class:`Markup` is escaped.
        attributes: ``class_`` becomes ``class``, ``data_case`` becomes ``data-case``; ``True`` is an attribute without
            a value, ``None`` and ``False`` leave it out.
    """
    parts = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(key)
        elif value is not None and value is not False:
            parts.append(f'{key}="{escape(str(value))}"')
    opening = " ".join(parts)
    if name in VOID and not content:
        return Markup(f"<{opening}/>")  # HTML doesn't need the slash, SVG does
    return Markup(f"<{opening}>{join(*content)}</{name}>")


def join(*content: Content) -> Markup:
    """Put pieces one after the other; anything but :class:`Markup` is escaped."""
    return Markup("".join(piece if isinstance(piece, Markup) else escape(str(piece)) for piece in content))
