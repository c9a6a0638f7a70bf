# SPDX-License-Identifier: Apache-2.0
"""What tells a bad mask from a good one without a reference: each measure alone and all together, bundle by bundle.

Reads the examples that ``pranet-monai calibrate BUNDLE DATA --examples benchmarks/quality/BUNDLE.csv`` leaves, and
writes the tables of ``docs/quality.md`` and ``docs/quality_measures.md``. No network runs; every number is of patients
that were left out::

    python benchmarks/quality.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from pranet_monai.quality.example_table import ExampleTable
from pranet_monai.quality.examples import UNCHANGED, Example, calibrated, left_out, scores, usable_measures
from pranet_monai.quality.features import MEASURES
from pranet_monai.storage.tables import write_atomically

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "benchmarks" / "quality"
DOCS = ROOT / "docs"
IN_SHORT = (
    "| bundle | bad masks found | good masks marked | bad found, with copies | good marked, with copies "
    "| AUROC, with copies | mean error | mean error, with copies |\n|---|---|---|---|---|---|---|---|"
)
HEAD = (
    "| measure | AUROC, as they are | AUROC, all | mean error, as they are | mean error, all | Spearman, all |\n"
    "|---|---|---|---|---|---|"
)


def main() -> None:
    """Writes the tables."""
    paths = sorted(EXAMPLES.glob("*.csv"))
    tables = "\n\n".join(map(table_of, paths))
    write_between(DOCS / "quality_measures.md", "quality", tables)
    made = {path.stem: calibrated(ExampleTable(path).examples, {}, "", 1, {}).validation for path in paths}
    lines_in_short = [IN_SHORT, *(line_of(name, validation) for name, validation in made.items())]
    write_between(DOCS / "quality.md", "quality in short", "\n".join([*lines_in_short, "", over_all(made)]))
    print(tables)


def write_between(page: Path, mark: str, text: str) -> None:
    """Puts a text between ``<!-- mark -->`` and ``<!-- end of mark -->`` of a page."""
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    write_atomically(page, f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def line_of(name: str, validation: Mapping[str, Mapping[str, float]]) -> str:
    """One bundle in a line: cases as they are, then with their degraded copies; each organ counts as a mask."""
    plain, every = validation["unchanged"], validation["all"]
    counts = [*_counts(plain), *_counts(every)]
    return f"| `{name}` | {' | '.join([*counts, *map(text, (every['auroc'], plain['mae'], every['mae']))])} |"


def over_all(made: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """The mean error over the organs of all bundles, cases as they are."""
    organs = sum(validation["unchanged"]["n"] for validation in made.values())
    error = sum(validation["unchanged"]["mae"] * validation["unchanged"]["n"] for validation in made.values())
    return f"Over all {organs} organs of the cases as they are, the mean error is {error / organs:.3f}."


def _counts(found: Mapping[str, float]) -> Iterator[str]:
    """How many of the bad masks are found, and how many of the good ones are marked."""
    for name, total in (("found", found["bad"]), ("false_alarms", found["n"] - found["bad"])):
        yield f"{found[name] * total:.0f} of {total}" if total else "none is bad"


def table_of(path: Path) -> str:
    """One bundle's, as Markdown."""
    table = ExampleTable(path)
    examples = table.examples
    organs = sorted({one.organ for one in examples})
    made = calibrated(examples, {}, "", 1, {})
    found = made.validation
    plain, every = found["unchanged"], found["all"]
    counts = (
        f"**{path.stem}** ({_weights(table.marks)}): {made.made_of['patients']} patients, "
        f"{made.made_of['cases']} cases, {len(organs)} organs; as they are {plain['n']} organs, {plain['bad']} with "
        f"Dice below 0.8; with degraded copies {every['n']}, {every['bad']} of them bad. "
    )
    alarms = " and ".join(_alarms(found[part], title) for part, title in (("unchanged", "as they are"), ("all", "all")))
    review = f"`review`, below {made.review_below:.3f}, marks {alarms}."
    return "\n".join([counts + review, "", HEAD, *lines(examples)])


def _weights(marks: Sequence[str]) -> str:
    if len(marks) > 1:
        return f"each patient by the one of {len(marks)} networks that wasn't shown it"
    return f"weights {marks[0].partition(':')[2]}…"


def _alarms(found: Mapping[str, float], title: str) -> str:
    by_mask, by_organ = (
        [text(found[prefix + name]) for name in ("found", "false_alarms")] for prefix in ("masks_", "")
    )
    return (
        f"{by_mask[0]} of the masks with a bad organ and {by_mask[1]} of the others ({title}; organ by organ "
        f"{by_organ[0]} and {by_organ[1]})"
    )


def lines(examples: Sequence[Example]) -> Iterator[str]:
    """A line for each measure alone, one for those that are combined, one for all of them."""
    every_measure, combined = usable_measures(examples, list(MEASURES)), usable_measures(examples)
    together = {f"**combined: {', '.join(combined)}**": combined, "all of these together": every_measure}
    unchanged = np.array([one.degradation == UNCHANGED for one in examples])
    truth = np.array([one.dice for one in examples])
    for title, chosen in [*((f"`{name}`: {MEASURES[name]}", [name]) for name in every_measure), *together.items()]:
        expected = left_out(examples, chosen)
        plain, every = scores(truth[unchanged], expected[unchanged]), scores(truth, expected)
        cells = [plain["auroc"], every["auroc"], plain["mae"], every["mae"], every["spearman"]]
        yield f"| {title} | {' | '.join(text(value) for value in cells)} |"


def text(value: float) -> str:
    """A number, or a dash where there is none."""
    return f"{value:.3f}" if value == value else "–"


if __name__ == "__main__":
    main()
