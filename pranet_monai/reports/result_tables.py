# SPDX-License-Identifier: Apache-2.0
"""The page's tables per organ: results against the references, the papers' numbers, or sizes alone."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from pranet_monai.reports.markup import Markup, element, join
from pranet_monai.reports.measures import PAPER_METRICS, Measure, Vocabulary
from pranet_monai.reports.shell import Section, organ_heading, table
from pranet_monai.storage.tables import Row

__all__ = ["case_sizes", "paper_section", "results_section", "sizes_section"]


def results_section(summary: Mapping[str, Any], colors: Mapping[str, str], vocabulary: Vocabulary) -> Section:
    """Mean, spread and interval of each metric per organ.

    Args:
        summary: content of ``summary.json``.
        colors: organ → CSS colour.
        vocabulary: what was measured.
    """
    metrics = vocabulary.metrics
    headings = ["Organ", "Cases", "Missed", "False positive", *(measure.heading for measure in metrics)]
    rows = [
        element("tr", organ_heading(organ, colors[organ]), *_result_cells(scores, metrics))
        for organ, scores in summary["organs"].items()
    ]
    overall = _result_cells(summary["overall"], metrics)
    rows.append(element("tr", element("th", "mean over organs", scope="row"), *overall, class_="overall"))
    meaning = summary["definitions"]
    note = "Mean ± standard deviation over the cases; below it the 95 % confidence interval of the mean. "
    if "hd95_mm" in meaning:
        note += f"HD95 is {meaning['hd95_mm'].partition(':')[0]}; distances are in mm. "
    if summary["overall"]["n_missed"] + summary["overall"]["n_false_positive"]:
        note += f"A missed or false-positive organ {meaning['missed'].partition('; ')[2]}. "
    link = element("a", "Definitions", href="#definitions")
    content = join(element("p", note, link, class_="quiet"), table(headings, rows))
    return Section("results", "Results per organ", content)


def _result_cells(scores: Mapping[str, Any], metrics: Sequence[Measure]) -> list[Markup]:
    counts = [element("td", scores["n"])]
    for kind in ("n_missed", "n_false_positive"):
        counts.append(element("td", scores[kind], class_="bad" if scores[kind] else None))
    return counts + [_score_cell(measure, scores[measure.key]) for measure in metrics]


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


def sizes_section(cases: Sequence[Row], colors: Mapping[str, str], size: Measure) -> Section | None:
    """Sizes per organ, for a run without references.

    Args:
        cases: rows of ``cases.csv``.
        colors: organ → CSS colour.
        size: volume or area.
    """
    rows = []
    for organ, color in colors.items():
        values = [value for _, value in case_sizes(cases, organ, size)]
        if values:
            spread = f" ± {size.text(statistics.stdev(values))}" if len(values) > 1 else ""
            mean = size.text(statistics.fmean(values)) + spread
            cells = [str(len(values)), str(values.count(0)), mean, size.interval((min(values), max(values)))]
            rows.append(element("tr", organ_heading(organ, color), *(element("td", cell) for cell in cells)))
    if not rows:
        return None
    headings = ["Organ", "Cases", "Not found", f"Mean {size.title.lower()} ({size.unit}) ± sd", f"Range ({size.unit})"]
    return Section("sizes", f"{size.title}s per organ", table(headings, rows))


def case_sizes(cases: Sequence[Row], organ: str, size: Measure) -> list[tuple[str, float]]:
    """(case, ml or pixels) of each case in which an organ was measured."""
    key = f"{size.key}_{organ}"
    return [(row["case"], row[key]) for row in cases if row.get(key) is not None]
