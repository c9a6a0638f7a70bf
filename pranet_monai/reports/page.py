# SPDX-License-Identifier: Apache-2.0
"""``index.html``: one page on all that a run left, for a reader who judges cases; one file where they are few."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pranet_monai.forms.left_out import left_out_sentence
from pranet_monai.reports.cardiac_page import cardiac_section
from pranet_monai.reports.case_table import cases_section
from pranet_monai.reports.charts import DOTS, box_plot
from pranet_monai.reports.markup import Markup, element, join
from pranet_monai.reports.measures import VOLUMES, Measure, Vocabulary, plain_name
from pranet_monai.reports.previews import organ_color
from pranet_monai.reports.result_tables import case_sizes, paper_section, results_section, sizes_section
from pranet_monai.reports.shell import Section, page_shell, table
from pranet_monai.storage.tables import Row, write_atomically

if TYPE_CHECKING:
    from pranet_monai.data.labels import LabelMap

__all__ = ["write_page"]

LISTED = 100
"""Failed cases that stand on the page by themselves, and entries of a part of ``run.json`` that it shows."""


def write_page(
    folder: Path,
    label_map: LabelMap,
    cases: Sequence[Row],
    metrics: Sequence[Row],
    summary: Mapping[str, Any] | None,
    run: Mapping[str, Any],
    cardiac: Sequence[Row] = (),
    vocabulary: Vocabulary = VOLUMES,
) -> None:
    """Write ``index.html`` into a report folder.

    Args:
        folder: the report, with its ``previews``.
        label_map: organs and colours.
        cases: rows of ``cases.csv``.
        metrics: rows of ``metrics.csv``; may be empty.
        summary: content of ``summary.json``, where there are metrics.
        run: content of ``run.json``.
        cardiac: rows of ``cardiac.csv``; may be empty.
        vocabulary: what was measured.
    """
    colors = {organ: _css_color(label_map, organ) for organ in label_map.organs}
    title = f"Segmentation report: {plain_name(label_map.name)}"
    parts = [
        _failures(cases),
        _left_out(run.get("left_out", {})),
        results_section(summary, colors, vocabulary) if summary else sizes_section(cases, colors, vocabulary.size),
        paper_section(summary["paper"], colors) if summary and "paper" in summary else None,
        _plots(cases, metrics, colors, vocabulary),
        cases_section(folder, cases, metrics, colors, vocabulary),
        cardiac_section(cardiac),
        _definitions(summary["definitions"], vocabulary) if summary else None,
        _run(run),
    ]
    sections = [section for section in parts if section is not None]
    body = join(
        _head(title, cases, summary, run, vocabulary),
        Section.contents(sections),
        *(section.markup() for section in sections),
    )
    write_atomically(folder / "index.html", page_shell(title, body))


def _css_color(label_map: LabelMap, organ: str) -> str:
    red, green, blue = (round(255 * part) for part in organ_color(label_map, organ))
    return f"rgb({red} {green} {blue})"


def _head(
    title: str, cases: Sequence[Row], summary: Mapping[str, Any] | None, run: Mapping[str, Any], vocabulary: Vocabulary
) -> Markup:
    failed = sum(row["status"] == "failed" for row in cases)
    skipped = sum(row["status"] == "skipped" for row in cases)
    parts = [f"{len(cases) - failed - skipped} good", f"{failed} failed"]
    parts += [f"{skipped} kept from an earlier run"] if skipped else []
    cards = [_card(str(len(cases)), "cases: " + ", ".join(parts), alarm=failed > 0)]
    if summary:
        overall = summary["overall"]
        cards += [_score_card(measure, overall) for measure in vocabulary.metrics if measure.key in vocabulary.plotted]
        missed, false_positive = overall["n_missed"], overall["n_false_positive"]
        cards.append(
            _card(f"{missed} / {false_positive}", "organs missed / false positive", alarm=missed + false_positive > 0)
        )
    judged = [row["review"] for row in cases if row.get("review") is not None]
    if judged:
        text = "to be reviewed: a low Dice is expected of an organ"
        cards.append(_card(f"{sum(judged)} of {len(judged)}", text, alarm=any(judged)))
    finished = str(run.get("finished", "")).replace("T", " ").replace("+00:00", " UTC")
    return join(
        element("h1", title),
        element("p", f"Finished {finished}, pranet_monai {run['versions']['pranet_monai']}", class_="quiet"),
        element("div", *cards, class_="cards"),
    )


def _score_card(measure: Measure, overall: Mapping[str, Any]) -> Markup:
    score = overall[measure.key]
    interval = f", 95 % CI {measure.interval(score['ci95'])}" if score["ci95"] else ""
    unit = f" {measure.unit}" if measure.unit else ""
    return _card(measure.text(score["mean"]) + unit, f"mean {measure.title} over organs and cases{interval}")


def _card(number: str, text: str, alarm: bool = False) -> Markup:
    return element("div", element("b", number), text, class_="card alarm" if alarm else "card")


def _failures(cases: Sequence[Row]) -> Section | None:
    failed = [row for row in cases if row["status"] == "failed"]
    if not failed:
        return None
    rows = [
        element("tr", element("td", row["case"], class_="text bad"), element("td", row["reason"], class_="text reason"))
        for row in failed[:LISTED]
    ]
    more = f"The first {LISTED} of {len(failed)}; all are in the table of cases below, by their status."
    note = element("p", more, class_="quiet") if len(failed) > LISTED else Markup()
    return Section("failed", "Failed cases", join(note, table(["Case", "Reason"], rows, text_columns=2)))


def _left_out(found: Mapping[str, Sequence[str]]) -> Section | None:
    return Section("left-out", "Left out", element("p", left_out_sentence(found))) if found else None


def _plots(
    cases: Sequence[Row], metrics: Sequence[Row], colors: Mapping[str, str], vocabulary: Vocabulary
) -> Section | None:
    if metrics:
        plotted = [measure for measure in vocabulary.metrics if measure.key in vocabulary.plotted]
        plots = [_metric_plot(measure, metrics, colors) for measure in plotted]
    else:
        sizes = {organ: case_sizes(cases, organ, vocabulary.size) for organ in colors}
        plots = [box_plot(vocabulary.size, sizes, colors)] if any(sizes.values()) else []
    if not plots:
        return None
    dots = "Each dot is a case" if len(cases) <= DOTS else "Dots are the cases furthest beyond the whiskers"
    note = f"{dots}; click it to see the case. Box: quartiles and median; whiskers: 1.5 times the box."
    content = join(element("p", note, class_="quiet"), element("div", *plots, class_="plots"))
    return Section("distribution", "Distribution", content)


def _metric_plot(measure: Measure, metrics: Sequence[Row], colors: Mapping[str, str]) -> Markup:
    """Scores show a missed organ as 0; distances, where a missed organ has none, count it below the organ's name."""
    values: dict[str, list[tuple[str, float]]] = {organ: [] for organ in colors}
    lost: dict[str, Counter[str]] = {organ: Counter() for organ in colors}
    for row in metrics:
        if row["status"] == "ok" or (row["status"] != "both_empty" and measure.higher_is_better):
            values[row["organ"]].append((row["case"], row[measure.key]))
        elif row["status"] != "both_empty":
            lost[row["organ"]][row["status"]] += 1
    warnings = {
        organ: ", ".join(f"{n} {plain_name(status)}" for status, n in counts.items()) for organ, counts in lost.items()
    }
    return box_plot(measure, values, colors, warnings)


def _definitions(texts: Mapping[str, str], vocabulary: Vocabulary) -> Section:
    titles = {measure.key: measure.title for measure in (*vocabulary.metrics, vocabulary.size)}
    titles |= {
        "both_empty": "both empty",
        "ci95": "95 % CI",
        "false_positive": "false-positive organ",
        "missed": "missed organ",
    }
    return Section("definitions", "Definitions", _pairs({titles.get(key, key): text for key, text in texts.items()}))


def _run(run: Mapping[str, Any]) -> Section:
    hardware, versions = run["hardware"], run["versions"]
    facts = {
        "Started": run["started"],
        "Took": f"{run['seconds']:.0f} s",
        "Weights": "{file}, SHA-256 {sha256}".format(**run["weights"]) if run.get("weights") else "none",
        "Processor": f"{hardware['cpu']}, {hardware['cpus']} CPUs, {hardware['threads'] or 'default'} threads",
        "GPU": ", ".join(hardware["gpus"]) or "none",
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
        "Command": run["command"],
    }
    everything = element("pre", json.dumps(_shortened(run), indent=2, ensure_ascii=False, default=str))
    details = element("details", element("summary", "All of run.json"), everything)
    return Section("run", "Run", join(_pairs(facts), details))


def _shortened(value: Any) -> Any:
    """The value without what is too long for a page: what a long list or mapping holds is in the file."""
    if isinstance(value, (list, tuple, Mapping)) and len(value) > LISTED:
        return f"{len(value)} entries, see run.json"
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, (list, tuple)) else value


def _pairs(pairs: Mapping[str, str]) -> Markup:
    return element("dl", *(join(element("dt", key), element("dd", text)) for key, text in pairs.items()))
