# SPDX-License-Identifier: Apache-2.0
"""The page's section of cases: controls and an empty table, which ``page.js`` fills from the data beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pranet_monai.reports.case_data import FLAGS, case_data, data_script, measures_of
from pranet_monai.reports.markup import Markup, element, join
from pranet_monai.reports.measures import VOLUMES, Measure, Vocabulary, plain_name
from pranet_monai.reports.shell import Section, table
from pranet_monai.storage.tables import Row, write_atomically

__all__ = ["EMBEDDED", "cases_section"]

EMBEDDED = 200
"""Cases up to which the page is one file, pictures and data inside; of more, both lie beside it. One screenful of the
script's, too: a page of so many cases has them all in one table."""


def cases_section(
    folder: Path,
    cases: Sequence[Row],
    metrics: Sequence[Row],
    colors: Mapping[str, str],
    vocabulary: Vocabulary = VOLUMES,
) -> Section:
    """All cases, worst first; where they are many, their data is written into ``cases.js``.

    Args:
        folder: the report, with its ``previews``.
        cases: rows of ``cases.csv``.
        metrics: rows of ``metrics.csv``.
        colors: organ → CSS colour.
        vocabulary: what was measured.
    """
    if not cases:
        return Section("case-list", "Cases", element("p", "No case was processed."))
    is_one_file = len(cases) <= EMBEDDED
    data = case_data(cases, metrics, list(colors), vocabulary, folder / "previews" if is_one_file else None)
    if is_one_file:
        script = Markup(f"<script>{data_script(data)}</script>")
    else:
        write_atomically(folder / "cases.js", data_script(data))
        script = element("script", src="cases.js")
    shown = element("table", _head(colors), element("tbody"), id="cases", data_shown=EMBEDDED)
    parts = [
        _controls(data, measures_of(vocabulary, metrics, cases), colors),
        element("div", shown, class_="scroll"),
        _pager(),
        element("noscript", _without_script(data)),
        script,
    ]
    return Section("case-list", "Cases", join(*parts))


def _head(colors: Mapping[str, str]) -> Markup:
    headings = [_heading("case", "Case", "text"), _heading("status", "Status", "text"), _heading("mean", "Mean")]
    headings += [_heading(organ, plain_name(organ), organ=organ) for organ in colors]
    return element("thead", element("tr", *headings))


def _heading(column: str, text: str, class_: str | None = None, organ: str | None = None) -> Markup:
    button = element("button", text, type="button")
    return element("th", button, scope="col", class_=class_, data_sort=column, data_organ=organ)


def _controls(data: Mapping[str, Any], measures: Sequence[Measure], colors: Mapping[str, str]) -> Markup:
    states = {status: status for status in dict.fromkeys(data["status"])}
    found = {flag for flags in data["flags"].values() for flag in flags}
    states |= {flag: text for flag, text in FLAGS.items() if flag in found}
    search = element("input", id="search", type="search", placeholder="part of the name")
    return element(
        "div",
        element("label", "Case", search),
        _choice("Status", "status", {"": "all", **states}),
        _choice("Organ", "organ", {"": "all", **{organ: plain_name(organ) for organ in colors}}),
        _choice("Show", "measure", {measure.key: measure.heading for measure in measures}),
        element("output", id="count", aria_live="polite"),
        class_="controls",
    )


def _choice(label: str, identity: str, options: Mapping[str, str]) -> Markup:
    choices = [element("option", text, value=value) for value, text in options.items()]
    return element("label", label, element("select", *choices, id=identity))


def _pager() -> Markup:
    """To the other cases, where they don't fit into one table."""
    steps = {"first": "First", "previous": "Previous", "next": "Next", "last": "Last"}
    buttons = [element("button", text, type="button", data_step=step) for step, text in steps.items()]
    return element("nav", *buttons, id="pager", aria_label="Further cases", hidden=True)


def _without_script(data: Mapping[str, Any]) -> Markup:
    """Where no script may run: the names with links to the pictures, or where else the rows are."""
    if data["pictures"] is None:
        return element("p", "Without a script this page lists no cases: their rows are in cases.csv.")
    rows = []
    for index, (case, status, shown) in enumerate(zip(data["cases"], data["status"], data["pictures"], strict=True)):
        name = element("a", case, href=f"previews/{quote(case)}.png") if shown else case
        text = "; ".join(data["texts"].get(index, {}).values())
        rows.append(
            element("tr", element("td", name), *(element("td", cell, class_="text") for cell in (status, text)))
        )
    return table(["Case", "Status", "Reason, remark"], rows, text_columns=3)
