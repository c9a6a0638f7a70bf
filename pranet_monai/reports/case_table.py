# SPDX-License-Identifier: Apache-2.0
"""The page's table of cases: filtered, sorted and unfolded by ``page.js``, complete without it."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from pranet_monai.reports.markup import Markup, element, join
from pranet_monai.reports.measures import VOLUMES, Measure, Vocabulary, plain_name
from pranet_monai.reports.shell import Section
from pranet_monai.storage.tables import Row

__all__ = ["cases_section", "picture"]

EMBEDDED = 200  # pictures inside the page, about 20 MB; the rest are links into previews/
JPEG_QUALITY = 78
REMARK = "remark"
FLAGS = {
    "missed": "an organ missed",
    "false_positive": "a false-positive organ",
    "border": "an organ at the edge of the volume",
    REMARK: "with a remark",
}


def cases_section(
    folder: Path,
    cases: Sequence[Row],
    metrics: Sequence[Row],
    colors: Mapping[str, str],
    vocabulary: Vocabulary = VOLUMES,
) -> Section:
    """All cases, worst first.

    Args:
        folder: the report, with its ``previews``.
        cases: rows of ``cases.csv``.
        metrics: rows of ``metrics.csv``.
        colors: organ → CSS colour.
        vocabulary: what was measured.
    """
    if not cases:
        return Section("case-list", "Cases", element("p", "No case was processed."))
    size = vocabulary.size
    measures = [*vocabulary.metrics, size] if metrics else [size]
    scores: dict[str, dict[str, Row]] = {row["case"]: {} for row in cases}
    for row in metrics:
        scores.setdefault(row["case"], {})[row["organ"]] = row
    for row in cases:
        for organ in colors:
            scores[row["case"]].setdefault(organ, _size_row(row, organ, size))
    ordered = sorted(cases, key=lambda row: _goodness(scores[row["case"]], measures[0]))
    rows = []
    for index, row in enumerate(ordered):
        organs = scores[row["case"]]
        is_open = index == 0  # the worst case shows that the others unfold too
        rows.append(_case_row(row, organs, measures, f"case-{index}", is_open))
        details = _details(organs, measures) if row["status"] != "failed" else element("p", row["reason"])
        remark = element("p", f"Remark: {row[REMARK]}", class_="warn") if row.get(REMARK) else ""
        shown = picture(folder, row["case"], embed=index < EMBEDDED)
        cell = element("td", shown, details, remark, colspan=3 + len(colors))
        rows.append(element("tr", cell, class_="detail", id=f"case-{index}", hidden=not is_open))
    known = {measure.key: _facts(measure) for measure in measures}
    table = element("table", _head(colors), element("tbody", *rows), id="cases", data_measures=json.dumps(known))
    controls = _controls(cases, measures, colors, bool(metrics))
    return Section("case-list", "Cases", join(controls, element("div", table, class_="scroll")))


def _facts(measure: Measure) -> dict[str, object]:
    return {"key": measure.key, "decimals": measure.decimals, "higher_is_better": measure.higher_is_better}


def _size_row(row: Row, organ: str, size: Measure) -> Row:
    return {key: row.get(f"{key}_{organ}") for key in (size.key, "touches_border")}


def _mean(organs: Mapping[str, Row], measure: Measure) -> float | None:
    """Mean over the organs of one case, as in the summary: organs that neither mask holds are left out."""
    values = [row.get(measure.key) for row in organs.values() if row.get("status") not in (None, "both_empty")]
    if not values or measure.higher_is_better is None:
        return None
    return math.fsum(math.nan if value is None else value for value in values) / len(values)


def _goodness(organs: Mapping[str, Row], measure: Measure) -> tuple[bool, float]:
    mean = _mean(organs, measure)
    return (mean is None or math.isnan(mean), mean or 0.0)


def _head(colors: Mapping[str, str]) -> Markup:
    headings = [_heading("case", "Case", "text"), _heading("status", "Status", "text"), _heading("mean", "Mean")]
    headings += [_heading(organ, plain_name(organ), organ=organ) for organ in colors]
    return element("thead", element("tr", *headings))


def _heading(column: str, text: str, class_: str | None = None, organ: str | None = None) -> Markup:
    button = element("button", text, type="button")
    return element("th", button, scope="col", class_=class_, data_sort=column, data_organ=organ)


def _case_row(row: Row, organs: Mapping[str, Row], measures: Sequence[Measure], detail: str, is_open: bool) -> Markup:
    expanded = str(is_open).lower()
    opener = element("button", row["case"], type="button", aria_expanded=expanded, aria_controls=detail)
    badge = element("small", "remark", title=row[REMARK]) if row.get(REMARK) else ""
    status_class = "text bad" if row["status"] == "failed" else "text"
    cells = [
        element("td", opener, class_="text", data_column="case"),
        element("td", row["status"], badge, class_=status_class, data_column="status"),
        _value_cell("mean", {measure.key: _mean(organs, measure) for measure in measures}, measures),
    ]
    for organ, values in organs.items():
        cells.append(_value_cell(organ, values, measures, organ))
    flags = REMARK if row.get(REMARK) else None
    return element("tr", *cells, class_="case", data_case=row["case"], data_status=row["status"], data_flags=flags)


def _value_cell(column: str, values: Row, measures: Sequence[Measure], organ: str | None = None) -> Markup:
    wrong = [values["status"]] if values.get("status") in ("missed", "false_positive") else []
    flags = [*wrong, "border"] if values.get("touches_border") else wrong
    badge = element("small", plain_name(wrong[0]), class_="bad") if wrong else ""
    data = {f"data_{measure.key}": _number(values.get(measure.key)) for measure in measures}
    text = measures[0].text(values.get(measures[0].key))
    cell = element("td", text, badge, data_column=column, data_organ=organ, data_flags=" ".join(flags) or None)
    attributes = "".join(f' {key.replace("_", "-", 1)}="{value}"' for key, value in data.items() if value)
    return Markup(cell.replace("<td", f"<td{attributes}", 1))


def _number(value: float | None) -> str | None:
    """A number as JavaScript reads it."""
    if value is None or math.isnan(value):
        return None
    return f"{value:.6g}" if math.isfinite(value) else "Infinity"


def _details(organs: Mapping[str, Row], measures: Sequence[Measure]) -> Markup:
    has_reference, size = len(measures) > 1, measures[-1]
    headings = [
        "Organ",
        *(measure.heading for measure in measures),
        *([f"Expert ({size.unit})"] if has_reference else []),
        "Note",
    ]
    rows = []
    for organ, values in organs.items():
        cells = [measure.text(values.get(measure.key)) for measure in measures]
        cells += [size.text(values.get(f"reference_{size.key}"))] if has_reference else []
        notes = [FLAGS["border"]] if values.get("touches_border") else []
        status = values.get("status", "ok")
        notes += [status.replace("_", " ")] if status != "ok" else []
        cells.append("; ".join(notes))
        rows.append(element("tr", element("td", plain_name(organ)), *(element("td", cell) for cell in cells)))
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    return element("table", element("thead", head), element("tbody", *rows))


def picture(folder: Path, case: str, embed: bool = True) -> Markup:
    """The preview of a case, inside the page or as a link into ``previews``; nothing where there is none."""
    path = folder / "previews" / f"{case}.png"
    if not path.is_file():
        return Markup()
    source = f"previews/{quote(case)}.png"
    if embed:
        buffer = io.BytesIO()
        Image.open(path).convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
        source = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return element("img", src=source, alt=f"Slices of {case} with the organs outlined", loading="lazy")


def _controls(
    cases: Sequence[Row], measures: Sequence[Measure], colors: Mapping[str, str], has_reference: bool
) -> Markup:
    states = {status: status for status in dict.fromkeys(row["status"] for row in cases)}
    remarked = {REMARK} if any(row.get(REMARK) for row in cases) else set()
    possible = (set(FLAGS) - {REMARK} if has_reference else {"border"}) | remarked
    states |= {flag: text for flag, text in FLAGS.items() if flag in possible}
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
