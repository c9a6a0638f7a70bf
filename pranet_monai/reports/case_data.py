# SPDX-License-Identifier: Apache-2.0
"""The cases as the page's script takes them: columns of numbers, from which it draws the rows that are in view."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pranet_monai.reports.measures import EXPECTED, Measure, Vocabulary, plain_name
from pranet_monai.storage.tables import Row

__all__ = ["FLAGS", "case_data", "data_script", "embedded_picture", "measures_of"]

JPEG_QUALITY = 78
FLAGS = {
    "missed": "an organ missed",
    "false_positive": "a false-positive organ",
    "touches_border": "an organ at the edge of the volume",
    "review": "to be reviewed",
    "remark": "with a remark",
    "accepted": "accepted by a reviewer",
    "rejected": "rejected by a reviewer",
    "outdated": "reviewed, with another mask since",
}
"""What a case, or an organ of it, can be marked with → how the choice of cases names it."""

Columns = dict[str, list[Any]]


def measures_of(vocabulary: Vocabulary, metrics: Sequence[Row], cases: Sequence[Row]) -> list[Measure]:
    """What the page can show of an organ. The first that has a better side orders the cases at first, worst first."""
    is_judged = any(row.get("review") is not None for row in cases)
    return [*(vocabulary.metrics if metrics else ()), *([EXPECTED] if is_judged else []), vocabulary.size]


def case_data(
    cases: Sequence[Row],
    metrics: Sequence[Row],
    organs: Sequence[str],
    vocabulary: Vocabulary,
    pictures: Path | None = None,
) -> dict[str, Any]:
    """All that the script needs, as plain JSON.

    Args:
        cases: rows of ``cases.csv``.
        metrics: rows of ``metrics.csv``; may be empty.
        organs: in the order of the columns.
        vocabulary: what was measured.
        pictures: folder of the pictures to put inside; None leaves them to be linked.

    Returns:
        ``cases`` (their names, sorted as people count), and in the same order the columns ``status`` and ``values``
        (measure → organ, or "mean" → numbers); ``flags`` (organ, or "" for the case itself → flag → positions),
        ``texts`` (position → reason, remark, comment) and what ``organs`` and ``measures`` are called.
    """
    rows = sorted(cases, key=lambda row: _natural_order(row["case"]))
    scores: dict[str, dict[str, Row]] = {row["case"]: {} for row in rows}
    for row in metrics:
        scores.setdefault(row["case"], {})[row["organ"]] = row
    of_organ = {organ: [scores[row["case"]].get(organ, {}) for row in rows] for organ in organs}
    measures, size = measures_of(vocabulary, metrics, cases), vocabulary.size
    values = {measure.key: _values(measure, rows, of_organ, measure in vocabulary.metrics) for measure in measures}
    reference = {
        organ: _numbers(size, [row.get(f"reference_{size.key}") for row in found]) for organ, found in of_organ.items()
    }
    return {
        "cases": [row["case"] for row in rows],
        "status": [row["status"] for row in rows],
        "values": values,
        "reference": {"heading": f"Reference, {size.unit}", "values": reference} if metrics else None,
        "flags": {"": _own_flags(rows)} | {organ: _flags(organ, rows, found) for organ, found in of_organ.items()},
        "texts": {index: texts for index, row in enumerate(rows) if (texts := _texts(row))},
        "organs": [{"key": organ, "title": plain_name(organ)} for organ in organs],
        "measures": [_facts(measure) for measure in measures],
        "pictures": None if pictures is None else [embedded_picture(pictures / f"{row['case']}.png") for row in rows],
    }


def data_script(data: Mapping[str, Any]) -> str:
    """A script that gives the page its data, in the form that browsers read fastest; no case's name can end it, or run
    as code.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return f"var caseData = {json.dumps(text)};\n".replace("<", r"\u003c")


def embedded_picture(path: Path) -> str | None:
    """A picture as an address that holds it whole; None where there is none."""
    if not path.is_file():
        return None
    buffer = io.BytesIO()
    Image.open(path).convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Sorts case 9 before case 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.lower())]


def _facts(measure: Measure) -> dict[str, Any]:
    return {name: getattr(measure, name) for name in ("key", "heading", "decimals", "higher_is_better")}


def _values(measure: Measure, rows: Sequence[Row], of_organ: Mapping[str, list[Row]], is_metric: bool) -> Columns:
    """A measure's numbers per organ: metrics have rows of their own, all else is a column of ``cases.csv``."""
    found = {
        organ: (
            [row.get(measure.key) for row in scored]
            if is_metric
            else [row.get(f"{measure.key}_{organ}") for row in rows]
        )
        for organ, scored in of_organ.items()
    }
    columns = {organ: _numbers(measure, values) for organ, values in found.items()}
    if measure.higher_is_better is not None:
        columns["mean"] = _numbers(measure, _means(found, of_organ if is_metric else None))
    return columns


def _means(values: Mapping[str, Sequence[Any]], scored: Mapping[str, list[Row]] | None) -> list[float | None]:
    """Mean over the organs of each case, as in the summary: what neither mask holds is left out, a gap makes a gap."""
    organs = list(values)
    means: list[float | None] = []
    for index, case in enumerate(zip(*values.values(), strict=True)):
        if scored is None:
            counted = [value for value in case if value is not None]
        else:
            states = [scored[organ][index].get("status") for organ in organs]
            counted = [value for value, state in zip(case, states, strict=True) if state not in (None, "both_empty")]
        whole = bool(counted) and None not in counted
        means.append(math.fsum(counted) / len(counted) if whole else None)
    return means


def _numbers(measure: Measure, values: Sequence[Any]) -> list[Any]:
    """Rounded below what is shown; infinity is a text, as JSON has none, and what isn't there is null."""
    digits = measure.decimals + 2
    return [
        None if value is None or value != value else round(value, digits) if math.isfinite(value) else "Infinity"
        for value in values
    ]


def _flags(organ: str, rows: Sequence[Row], scored: Sequence[Row]) -> dict[str, list[int]]:
    flags = {
        state: [index for index, row in enumerate(scored) if row.get("status") == state]
        for state in ("missed", "false_positive", "both_empty")
    }
    at_border = [index for index, row in enumerate(rows) if row.get(f"touches_border_{organ}")]
    return {flag: found for flag, found in {**flags, "touches_border": at_border}.items() if found}


def _own_flags(rows: Sequence[Row]) -> dict[str, list[int]]:
    own = ("review", "remark", "accepted", "rejected", "outdated")
    found = {flag: [index for index, row in enumerate(rows) if row.get(flag)] for flag in own}
    return {flag: indices for flag, indices in found.items() if indices}


def _texts(row: Row) -> dict[str, str]:
    return {name: row[name] for name in ("reason", "remark", "comment") if row.get(name)}
