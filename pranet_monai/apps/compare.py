# SPDX-License-Identifier: Apache-2.0
"""Tests whether two evaluations of the same cases differ, organ by organ."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pranet_monai.errors import UsageError, some_of
from pranet_monai.forms.reviews import Reviews
from pranet_monai.metrics import HIGHER_IS_BETTER
from pranet_monai.metrics.summary import bootstrap_interval
from pranet_monai.reports.measures import METRICS, Measure, plain_name
from pranet_monai.reports.privacy import Privacy
from pranet_monai.reports.text import align
from pranet_monai.storage.tables import plain_text, write_csv, write_json
from scipy.stats import wilcoxon

__all__ = ["compare", "run"]

COLUMNS = [
    *("metric", "organ", "n", "mean_a", "mean_b", "difference", "ci95_low", "ci95_high", "p_wilcoxon"),
    *("n_b_better", "n_a_better", "n_undefined"),
]
PERFECT = {"dice": 1.0, "iou": 1.0, "nsd": 1.0, "hd95_mm": 0.0, "assd_mm": 0.0}
MUST_AGREE = ("hd95_mm", "nsd", "missed")  # definitions that make numbers comparable


def compare(first: str | Path, second: str | Path, leave_out_rejected: bool = False) -> dict[str, Any]:
    """Compare two evaluations case by case.

    For each metric and organ: the mean of the differences B - A over the cases that both hold, its 95 % bootstrap
    interval, and the p value of Wilcoxon's signed-rank test (two-sided, not adjusted for the number of organs; Wilcoxon
    1945). An organ that is absent from a case and that only one side predicts counts there as perfect for the other
    side; where neither predicts it, the case is left out.

    Args:
        first: A, a ``metrics.csv`` or the folder of a report or run.
        second: B, likewise.
        leave_out_rejected: whether to leave out the cases whose mask somebody has rejected in either, see
            ``pranet-monai view``. What is left may be the easy ones: say so beside the numbers.

    Returns:
        ``a`` and ``b`` (the files), ``rows`` (dictionaries of ``COLUMNS``), ``only_a`` and ``only_b`` (cases),
        ``rejected_a`` and ``rejected_b`` (cases whose mask was rejected there), ``left_out_rejected``.

    Raises:
        UsageError: when a table isn't there or isn't one, no case, organ or metric is in both, or the metrics were
            defined differently.
    """
    paths = _metrics_file(first), _metrics_file(second)
    _check_definitions(*paths)
    tables = [_read(path) for path in paths]
    rejected = [Reviews(path.parent).rejected for path in paths]
    if leave_out_rejected:
        tables = [table.drop(set.union(*rejected), level="case", errors="ignore") for table in tables]
    cases = [set(table.index.get_level_values("case")) for table in tables]
    if not cases[0] & cases[1]:
        names = [some_of(sorted(side), 3) for side in cases]
        raise UsageError(f"{paths[0]} ({names[0]}) and {paths[1]} ({names[1]}) have no case in common")
    if tables[0].index.intersection(tables[1].index).empty:
        organs = [some_of(sorted(set(table.index.get_level_values("organ")))) for table in tables]
        raise UsageError(
            f"{paths[0]} ({organs[0]}) and {paths[1]} ({organs[1]}): found no organ of a common case in both; allowed: "
            "two evaluations with the same label map"
        )
    metrics = [metric for metric in HIGHER_IS_BETTER if all(metric in table for table in tables)]
    if not metrics:
        raise UsageError(
            f"{paths[0]} and {paths[1]}: found no metric in both; allowed: {', '.join(HIGHER_IS_BETTER)}; fix: "
            "evaluate one of them again"
        )
    rows = [row for metric in metrics for row in _compare_metric(metric, *tables)]
    return {
        "a": str(paths[0]),
        "b": str(paths[1]),
        "only_a": sorted(cases[0] - cases[1]),
        "only_b": sorted(cases[1] - cases[0]),
        "rejected_a": sorted(rejected[0]),
        "rejected_b": sorted(rejected[1]),
        "left_out_rejected": leave_out_rejected,
        "rows": rows,
    }


def _metrics_file(path: str | Path) -> Path:
    root = Path(path).expanduser()
    for candidate in (root, root / "metrics.csv", root / "report" / "metrics.csv"):
        if candidate.is_file():
            return candidate
    raise UsageError(f"{root}: found no metrics.csv; allowed: that file, or the folder of a report made with labels")


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(
            path,
            dtype={"case": str, "organ": str, "status": str},
            keep_default_na=False,  # a case may be called "NA"
            na_values={name: ["", "nan", "NaN"] for name in HIGHER_IS_BETTER},
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read as a table ({error})") from error
    absent = [name for name in ("case", "organ", "status") if name not in table]
    if absent:
        raise UsageError(f"{path}: found no column {', '.join(absent)}; allowed: a metrics.csv of evaluate or a bundle")
    for metric in (metric for metric in HIGHER_IS_BETTER if metric in table):
        numbers = pd.to_numeric(table[metric], errors="coerce")
        text = table[table[metric].notna() & numbers.isna()]
        if len(text):
            row = text.iloc[0]
            raise UsageError(
                f"{path}: found {row[metric]!r} as {metric} of {row['case']}, {row['organ']}; allowed: numbers, inf or "
                "an empty cell; fix: evaluate again, or mend the cell"
            )
        table[metric] = numbers
    table["case"], table["organ"] = table["case"].map(plain_text), table["organ"].map(plain_text)
    table = table.set_index(["case", "organ"])
    if not table.index.is_unique:
        raise UsageError(f"{path}: {table.index[table.index.duplicated()][0]} is in it more than once")
    return table


def _check_definitions(first: Path, second: Path) -> None:
    """Numbers by different definitions must not be subtracted; tables without a summary are assumed to agree."""
    summaries = [path.with_name("summary.json") for path in (first, second)]
    if not all(summary.is_file() for summary in summaries):
        return
    texts = [_definitions(summary) for summary in summaries]
    for name in MUST_AGREE:
        a, b = (text.get(name) for text in texts)
        if a != b:
            raise UsageError(
                f"{first} and {second} define {name} differently: {a!r} and {b!r}; evaluate one of them again"
            )


def _definitions(summary: Path) -> dict[str, Any]:
    try:
        found = json.loads(summary.read_text(encoding="utf-8"))["definitions"]
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(
            f"{summary}: found no definitions of the metrics in it; allowed: a summary.json of evaluate or a bundle; "
            "fix: evaluate again, or remove it to trust the tables"
        )
    return found


def _compare_metric(metric: str, first: pd.DataFrame, second: pd.DataFrame) -> list[dict[str, Any]]:
    columns = ["status", metric]
    pairs = first[columns].add_suffix("_a").join(second[columns].add_suffix("_b"), how="inner")
    absent = {side: pairs[f"status_{side}"] == "both_empty" for side in "ab"}
    pairs = pairs[~(absent["a"] & absent["b"])]
    values = pd.DataFrame(
        {
            side: pairs[f"{metric}_{side}"].mask(pairs[f"status_{side}"] == "both_empty", PERFECT[metric])
            for side in "ab"
        }
    )
    rows = [
        _test(metric, str(organ), part["a"].to_numpy(), part["b"].to_numpy())
        for organ, part in values.groupby(level="organ", sort=False)
    ]
    # skipna=False: a case with an undefined organ is undefined itself, as in the summary
    means = values.groupby(level="case", sort=True).agg(lambda organs: organs.mean(skipna=False))
    return [*rows, _test(metric, "overall", means["a"].to_numpy(), means["b"].to_numpy())]


def _test(metric: str, organ: str, first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    defined = np.isfinite(first) & np.isfinite(second)
    a, b = first[defined], second[defined]
    gain = (b - a) if HIGHER_IS_BETTER[metric] else (a - b)
    undefined = len(first) - len(a)
    row: dict[str, Any] = {"metric": metric, "organ": organ, "n": len(a), "n_undefined": undefined}
    row |= {"n_b_better": int((gain > 0).sum()), "n_a_better": int((gain < 0).sum())}
    if len(a) == 0 or undefined:  # the pairs that are left may be the easy ones: no number rather than a kind one
        return row
    low, high = bootstrap_interval(b - a) if len(a) > 1 else (None, None)
    p_value = float(wilcoxon(b - a).pvalue) if gain.any() else 1.0
    row |= {"mean_a": float(a.mean()), "mean_b": float(b.mean()), "difference": float((b - a).mean())}
    return row | {"ci95_low": low, "ci95_high": high, "p_wilcoxon": p_value}


def run(args: argparse.Namespace) -> int:
    """Compares and prints; 1 where a case is on one side only."""
    result = compare(args.a, args.b, args.leave_out_rejected)
    print(f"A: {result['a']}\nB: {result['b']}")
    for measure in (measure for measure in METRICS if measure.key in args.metrics):
        print("\n" + "\n".join(_lines(measure, [row for row in result["rows"] if row["metric"] == measure.key])))
    print("\np: Wilcoxon signed-rank test, two-sided, not adjusted for the number of organs")
    for side in ("a", "b"):
        if result[f"only_{side}"]:
            print(f"only in {side.upper()}, left out: {', '.join(result[f'only_{side}'])}")
    for side in ("a", "b"):
        if result[f"rejected_{side}"]:
            fate = "left out" if args.leave_out_rejected else "compared all the same"
            print(f"rejected by a reviewer in {side.upper()}, {fate}: {', '.join(result[f'rejected_{side}'])}")
    if args.output:
        write_csv(args.output / "comparison.csv", result["rows"], COLUMNS)
        write_json(args.output / "comparison.json", Privacy([])(result))
        print(f"written: {args.output / 'comparison.csv'}, {args.output / 'comparison.json'}")
    return int(bool(result["only_a"] or result["only_b"]))


def _lines(measure: Measure, rows: Sequence[dict[str, Any]]) -> list[str]:
    direction = "higher" if measure.higher_is_better else "lower"
    table = [
        [f"{measure.heading} ({direction} is better)", "n", "A", "B", "B - A", "95 % CI", "p", "B better", "A better"]
    ]
    for row in rows:
        means = [measure.text(row.get(name)) for name in ("mean_a", "mean_b", "difference")]
        low, high = row.get("ci95_low"), row.get("ci95_high")
        interval = f"{measure.text(low)} to {measure.text(high)}" if low is not None else "–"
        p_value = "–" if row.get("p_wilcoxon") is None else f"{row['p_wilcoxon']:.3g}"
        counts = [str(row["n_b_better"]), str(row["n_a_better"])]
        undefined = f" ({row['n_undefined']} undefined)" if row["n_undefined"] else ""
        table.append([plain_name(row["organ"]) + undefined, str(row["n"]), *means, interval, p_value, *counts])
    return align(table)
