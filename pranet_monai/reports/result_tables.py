# SPDX-License-Identifier: Apache-2.0
"""The page's tables per organ: results against the expert, the papers' numbers, or volumes alone."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from .markup import Markup, element, join
from .measures import METRICS, PAPER_METRICS, VOLUME, Measure
from .shell import Section, organ_heading, table
from .tables import Row

__all__ = ["case_volumes", "paper_section", "results_section", "volumes_section"]


def results_section(summary: Mapping[str, Any], colors: Mapping[str, str]) -> Section:
    """Mean, spread and interval of each metric per organ.

    Args:
        summary: content of ``summary.json``.
        colors: organ → CSS colour.
    """
    headings = ["Organ", "Cases", "Missed", "False", *(measure.heading for measure in METRICS)]
    rows = [
        element("tr", organ_heading(organ, colors[organ]), *_result_cells(scores))
        for organ, scores in summary["organs"].items()
    ]
    overall = _result_cells(summary["overall"])
    rows.append(element("tr", element("th", "mean over organs", scope="row"), *overall, class_="overall"))
    meaning = summary["definitions"]
    note = "Mean ± standard deviation over the cases; below it the 95 % confidence interval of the mean. "
    note += f"HD95 is {meaning['hd95_mm'].partition(':')[0]}; distances are in mm. "
    if summary["overall"]["n_missed"] + summary["overall"]["n_false"]:
        note += f"A missed or false organ {meaning['missed'].partition('; ')[2]}. "
    link = element("a", "Definitions", href="#definitions")
    content = join(element("p", note, link, class_="quiet"), table(headings, rows))
    return Section("results", "Results per organ", content)


def _result_cells(scores: Mapping[str, Any]) -> list[Markup]:
    counts = [element("td", scores["n"])]
    for kind in ("n_missed", "n_false"):
        counts.append(element("td", scores[kind], class_="bad" if scores[kind] else None))
    return counts + [_score_cell(measure, scores[measure.key]) for measure in METRICS]


def _score_cell(measure: Measure, score: Mapping[str, Any]) -> Markup:
    if score["mean"] is None:
        undefined = score["n_undefined"]
        return element("td", "–", element("small", f"undefined in {undefined}") if undefined else "")
    spread = f" ± {measure.text(score['sd'])}" if score["sd"] is not None else ""
    interval = element("small", measure.interval(score["ci95"])) if score["ci95"] else ""
    return element("td", measure.text(score["mean"]) + spread, interval)


def paper_section(paper: Mapping[str, Any], colors: Mapping[str, str]) -> Section:
    """The same masks by the papers' protocol, with what is wrong with it.

    Args:
        paper: what ``summary.json`` holds under "paper".
        colors: organ → CSS colour.
    """
    rows = [
        element("tr", organ_heading(organ, colors[organ]), *_paper_cells(means))
        for organ, means in paper["organs"].items()
    ]
    overall = element("th", "mean over organs", scope="row")
    rows.append(element("tr", overall, *_paper_cells(paper["overall"]), class_="overall"))
    note = element("p", paper["note"] + " Only for comparison with published tables.", class_="warn")
    headings = ["Organ", *(measure.heading for measure in PAPER_METRICS)]
    return Section("paper", "The same masks by the papers' protocol", join(note, table(headings, rows)))


def _paper_cells(means: Mapping[str, float | None]) -> list[Markup]:
    return [element("td", measure.text(means[measure.key])) for measure in PAPER_METRICS]


def volumes_section(cases: Sequence[Row], colors: Mapping[str, str]) -> Section | None:
    """Volumes per organ, for a run without expert masks.

    Args:
        cases: rows of ``cases.csv``.
        colors: organ → CSS colour.
    """
    rows = []
    for organ, color in colors.items():
        values = [value for _, value in case_volumes(cases, organ)]
        if values:
            spread = f" ± {VOLUME.text(statistics.stdev(values))}" if len(values) > 1 else ""
            mean = VOLUME.text(statistics.fmean(values)) + spread
            cells = [str(len(values)), str(values.count(0)), mean, VOLUME.interval((min(values), max(values)))]
            rows.append(element("tr", organ_heading(organ, color), *(element("td", cell) for cell in cells)))
    if not rows:
        return None
    headings = ["Organ", "Cases", "Not found", "Mean volume (ml) ± sd", "Range (ml)"]
    return Section("volumes", "Volumes per organ", table(headings, rows))


def case_volumes(cases: Sequence[Row], organ: str) -> list[tuple[str, float]]:
    """(case, ml) of each case in which an organ was measured."""
    key = f"{VOLUME.key}_{organ}"
    return [(row["case"], row[key]) for row in cases if row.get(key) is not None]
