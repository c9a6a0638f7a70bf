# SPDX-License-Identifier: Apache-2.0
"""``index.html``: one self-contained page that shows all that a run left, for a reader who judges cases."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from .case_table import case_table
from .charts import box_plot
from .markup import Markup, element, join
from .measures import METRICS, PAPER_METRICS, VOLUME, Measure, plain_name
from .previews import organ_color
from .tables import Row, write_atomically

if TYPE_CHECKING:
    from ..data.labels import LabelMap

__all__ = ["write_page"]

PLOTTED = ("dice", "hd95_mm")


def write_page(
    folder: Path,
    label_map: LabelMap,
    cases: Sequence[Row],
    metrics: Sequence[Row],
    summary: Mapping[str, Any] | None,
    run: Mapping[str, Any],
) -> None:
    """Write ``index.html`` into a report folder.

    Args:
        folder: the report, with its ``previews``.
        label_map: organs and colours.
        cases: rows of ``cases.csv``.
        metrics: rows of ``metrics.csv``; may be empty.
        summary: content of ``summary.json``, where there are metrics.
        run: content of ``run.json``.
    """
    colors = {organ: _css_color(label_map, organ) for organ in label_map.organs}
    title = f"Segmentation report: {plain_name(label_map.name)}"
    body = join(
        _head(title, cases, summary, run),
        _failures(cases),
        _results(summary, colors) if summary else _volumes(cases, colors),
        _paper(summary["paper"], colors) if summary and "paper" in summary else Markup(),
        _plots(cases, metrics, colors),
        case_table(folder, cases, metrics, colors),
        _definitions(summary),
        _run(run),
    )
    assets = resources.files(__package__) / "assets"
    page = Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        title=title,
        style=(assets / "page.css").read_text(encoding="utf-8"),
        script=(assets / "page.js").read_text(encoding="utf-8"),
        body=body,
    )
    write_atomically(folder / "index.html", page)


def _css_color(label_map: LabelMap, organ: str) -> str:
    red, green, blue = (round(255 * part) for part in organ_color(label_map, organ))
    return f"rgb({red} {green} {blue})"


def _head(
    title: str, cases: Sequence[Row], summary: Mapping[str, Any] | None, run: Mapping[str, Any]
) -> Markup:  # fmt: skip
    failed = sum(row["status"] == "failed" for row in cases)
    skipped = sum(row["status"] == "skipped" for row in cases)
    parts = [f"{len(cases) - failed - skipped} good", f"{failed} failed"]
    parts += [f"{skipped} kept from an earlier run"] if skipped else []
    cards = [_card(str(len(cases)), "cases: " + ", ".join(parts), alarm=failed > 0)]
    if summary:
        overall = summary["overall"]
        cards += [_score_card(measure, overall) for measure in METRICS if measure.key in PLOTTED]
        missed, false = overall["n_missed"], overall["n_false"]
        cards.append(_card(f"{missed} / {false}", "organs missed / false", alarm=missed + false > 0))
    finished = str(run.get("finished", "")).replace("T", " ").replace("+00:00", " UTC")
    return join(
        element("h1", title),
        element("p", f"Finished {finished}, pranet_monai {run['versions']['pranet_monai']}", class_="quiet"),
        element("div", *cards, class_="cards"),
    )


def _score_card(measure: Measure, overall: Mapping[str, Any]) -> Markup:
    score = overall[measure.key]
    interval = f", 95 % CI {_interval(measure, score)}" if score["ci95"] else ""
    unit = f" {measure.unit}" if measure.unit else ""
    return _card(measure.text(score["mean"]) + unit, f"mean {measure.title} over organs and cases{interval}")


def _card(number: str, text: str, alarm: bool = False) -> Markup:
    return element("div", element("b", number), text, class_="card alarm" if alarm else "card")


def _failures(cases: Sequence[Row]) -> Markup:
    failed = [row for row in cases if row["status"] == "failed"]
    if not failed:
        return Markup()
    rows = [
        element("tr", element("td", row["case"], class_="text bad"), element("td", row["reason"], class_="text reason"))
        for row in failed
    ]
    return join(element("h2", "Failed cases"), _table(["Case", "Reason"], rows, text_columns=2))


def _results(summary: Mapping[str, Any], colors: Mapping[str, str]) -> Markup:
    headings = ["Organ", "Cases", "Missed", "False", *(measure.heading for measure in METRICS)]
    rows = [
        element("tr", _organ_heading(organ, colors[organ]), *_result_cells(scores))
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
    return join(element("h2", "Results per organ"), element("p", note, link, class_="quiet"), _table(headings, rows))


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
    interval = element("small", _interval(measure, score)) if score["ci95"] else ""
    return element("td", measure.text(score["mean"]) + spread, interval)


def _interval(measure: Measure, score: Mapping[str, Any]) -> str:
    low, high = score["ci95"]
    return f"{measure.text(low)} to {measure.text(high)}"


def _paper(paper: Mapping[str, Any], colors: Mapping[str, str]) -> Markup:
    rows = [
        element("tr", _organ_heading(organ, colors[organ]), *_paper_cells(means))
        for organ, means in paper["organs"].items()
    ]
    overall = element("th", "mean over organs", scope="row")
    rows.append(element("tr", overall, *_paper_cells(paper["overall"]), class_="overall"))
    note = element("p", paper["note"] + " Only for comparison with published tables.", class_="warn")
    headings = ["Organ", *(measure.heading for measure in PAPER_METRICS)]
    return join(element("h2", "The same masks by the papers' protocol"), note, _table(headings, rows))


def _paper_cells(means: Mapping[str, float | None]) -> list[Markup]:
    return [element("td", measure.text(means[measure.key])) for measure in PAPER_METRICS]


def _volumes(cases: Sequence[Row], colors: Mapping[str, str]) -> Markup:
    rows = []
    for organ, color in colors.items():
        values = [value for _, value in _case_volumes(cases, organ)]
        if values:
            spread = f" ± {VOLUME.text(statistics.stdev(values))}" if len(values) > 1 else ""
            cells: list[str | int] = [
                len(values),
                sum(value == 0 for value in values),
                VOLUME.text(statistics.fmean(values)) + spread,
            ]
            cells.append(f"{VOLUME.text(min(values))} to {VOLUME.text(max(values))}")
            rows.append(element("tr", _organ_heading(organ, color), *(element("td", cell) for cell in cells)))
    if not rows:
        return Markup()
    headings = ["Organ", "Cases", "Not found", "Mean volume (ml) ± sd", "Range (ml)"]
    return join(element("h2", "Volumes per organ"), _table(headings, rows))


def _plots(cases: Sequence[Row], metrics: Sequence[Row], colors: Mapping[str, str]) -> Markup:
    if metrics:
        plots = [_metric_plot(measure, metrics, colors) for measure in METRICS if measure.key in PLOTTED]
    else:
        volumes = {organ: _case_volumes(cases, organ) for organ in colors}
        plots = [box_plot(VOLUME, volumes, colors)] if any(volumes.values()) else []
    if not plots:
        return Markup()
    note = "Each dot is a case; click it to see the case. Box: quartiles and median; whiskers: 1.5 times the box."
    return join(
        element("h2", "Distribution"), element("p", note, class_="quiet"), element("div", *plots, class_="plots")
    )


def _metric_plot(measure: Measure, metrics: Sequence[Row], colors: Mapping[str, str]) -> Markup:
    """Scores show a missed organ as 0; distances, where a missed organ has none, count it below the organ's name."""
    values: dict[str, list[tuple[str, float]]] = {organ: [] for organ in colors}
    lost: dict[str, Counter[str]] = {organ: Counter() for organ in colors}
    for row in metrics:
        if row["status"] == "ok" or (row["status"] != "both_empty" and measure.higher_is_better):
            values[row["organ"]].append((row["case"], row[measure.key]))
        elif row["status"] != "both_empty":
            lost[row["organ"]][row["status"]] += 1
    warnings = {organ: ", ".join(f"{n} {status}" for status, n in counts.items()) for organ, counts in lost.items()}
    return box_plot(measure, values, colors, warnings)


def _case_volumes(cases: Sequence[Row], organ: str) -> list[tuple[str, float]]:
    key = f"{VOLUME.key}_{organ}"
    return [(row["case"], row[key]) for row in cases if row.get(key) is not None]


def _definitions(summary: Mapping[str, Any] | None) -> Markup:
    if not summary:
        return Markup()
    titles = {measure.key: measure.title for measure in (*METRICS, VOLUME)}
    titles |= {"both_empty": "both empty", "ci95": "95 % CI", "false": "false organ", "missed": "missed organ"}
    return join(
        element("h2", "Definitions", id="definitions"),
        _pairs({titles.get(key, key): text for key, text in summary["definitions"].items()}),
    )


def _run(run: Mapping[str, Any]) -> Markup:
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
    everything = element("pre", json.dumps(run, indent=2, ensure_ascii=False, default=str))
    return join(
        element("h2", "Run"), _pairs(facts), element("details", element("summary", "All of run.json"), everything)
    )


def _pairs(pairs: Mapping[str, str]) -> Markup:
    return element("dl", *(join(element("dt", key), element("dd", text)) for key, text in pairs.items()))


def _organ_heading(organ: str, color: str) -> Markup:
    swatch = element("span", class_="swatch", style=f"background:{color}")
    return element("th", swatch, plain_name(organ), scope="row")


def _table(headings: Sequence[str], rows: Sequence[Markup], text_columns: int = 1) -> Markup:
    head = [
        element("th", heading, scope="col", class_="text" if index < text_columns else None)
        for index, heading in enumerate(headings)
    ]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *rows))
    return element("div", table, class_="scroll")
