# SPDX-License-Identifier: Apache-2.0
"""From the rows of all cases to a few numbers per organ, none of which gets better by leaving an organ out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pranet_monai.metrics.case import HIGHER_IS_BETTER

__all__ = ["bootstrap_interval", "summarise"]

KEYS = ("case", "organ", "status")
COUNTED = ("missed", "false_positive", "both_empty")
RESAMPLES = 2000
DRAWS_AT_ONCE = 2**21
"""Of the bootstrap: its memory doesn't grow with the cases."""


def summarise(
    rows: pd.DataFrame | Sequence[Mapping[str, Any]],
    *,
    metrics: Collection[str] = tuple(HIGHER_IS_BETTER),
    seed: int = 0,
) -> dict[str, Any]:
    """Summarises the rows of :func:`~pranet_monai.metrics.case_metrics` over the cases.

    An organ that neither volume of a case holds is left out there, and counted. One that only one of them holds stays
    in with the values that the policy for missed organs gave it; where these are not finite ("inf", "nan"), the mean
    over them is undefined, and so reported.

    Args:
        rows: rows of all cases, each with its ``case``.
        metrics: columns to summarise, as far as the rows have them.
        seed: of the bootstrap.

    Returns:
        ``{"cases": n, "organs": {organ: summary}, "overall": summary}``, ready for JSON: undefined numbers are None.
        A summary holds ``n`` (cases that count), ``n_missed``, ``n_false_positive``, ``n_both_empty`` (cases; in
        "overall": organs of cases) and for each metric ``mean``, ``sd`` (of the sample), ``median``, ``ci95`` (both
        ends of the percentile bootstrap of the mean over the cases) and ``n_undefined`` (cases that count without a
        finite value). The overall value of a case is the mean over its organs.

    Raises:
        ValueError: when a row lacks ``case``, ``organ`` or ``status``, or a case has an organ twice.
    """
    table = pd.DataFrame(rows, columns=None if len(rows) else list(KEYS))
    absent = [name for name in KEYS if name not in table]
    if absent:
        raise ValueError(f"rows to summarise need {', '.join(KEYS)}; not found: {', '.join(absent)}")
    twice = table[table.duplicated(["case", "organ"])]
    if len(twice):
        raise ValueError(f"case {twice.iloc[0]['case']!r} has organ {twice.iloc[0]['organ']!r} more than once")
    organs = {str(organ): _summary(part, metrics, seed) for organ, part in table.groupby("organ", sort=False)}
    return {"cases": int(table["case"].nunique()), "organs": organs, "overall": _summary(table, metrics, seed)}


def _summary(table: pd.DataFrame, metrics: Collection[str], seed: int) -> dict[str, Any]:
    scored = table[table["status"] != "both_empty"]
    per_case = {name: _per_case(scored, name) for name in metrics if name in table}
    counts = {f"n_{kind}": int((table["status"] == kind).sum()) for kind in COUNTED}
    return {"n": int(scored["case"].nunique()), **counts, **_statistics(per_case, seed)}


def _per_case(scored: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    # A case with an undefined organ is undefined itself, rather than the mean of its better organs.
    values = scored[metric].astype(np.float64)
    means = values.groupby(scored["case"], sort=True).mean()
    undefined = values.isna().groupby(scored["case"], sort=True).any()
    return means.mask(undefined).to_numpy(dtype=np.float64)


def _statistics(per_case: Mapping[str, NDArray[np.float64]], seed: int) -> dict[str, dict[str, Any]]:
    """Mean, sample sd, median and 95 % interval of the mean of one value per case, for each metric."""
    undefined = {name: int(np.count_nonzero(~np.isfinite(values))) for name, values in per_case.items()}
    results: dict[str, dict[str, Any]] = {
        name: {**dict.fromkeys(("mean", "sd", "median", "ci95")), "n_undefined": count}
        for name, count in undefined.items()
    }
    whole = {name: values for name, values in per_case.items() if not undefined[name] and len(values)}
    for name, values in whole.items():
        results[name] |= {"mean": float(values.mean()), "median": float(np.median(values))}
    several = {name: values for name, values in whole.items() if len(values) > 1}
    if several:
        intervals = bootstrap_intervals(np.stack(list(several.values()), axis=1), seed)
        for (name, values), interval in zip(several.items(), intervals, strict=True):
            results[name] |= {"sd": float(values.std(ddof=1)), "ci95": interval}
    return results


def bootstrap_interval(values: NDArray[np.float64], seed: int = 0) -> list[float]:
    """Both ends of the 95 % percentile bootstrap of the mean of finite values (n,)."""
    return bootstrap_intervals(values[:, None], seed)[0]


def bootstrap_intervals(values: NDArray[np.float64], seed: int = 0) -> list[list[float]]:
    """Both ends of the 95 % percentile bootstrap of the mean of each column of finite values (n, k)."""
    # The percentile method with draws that depend on n alone: a worse value can't move either end the better way,
    # which a corrected interval (BCa) doesn't promise.
    count, random = len(values), np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // count)
    means = []
    for start in range(0, RESAMPLES, at_once):
        resamples = min(at_once, RESAMPLES - start)
        draws = random.integers(0, count, size=(resamples, count))
        draws += count * np.arange(resamples)[:, None]
        how_often = np.bincount(draws.ravel(), minlength=draws.size).reshape(draws.shape)
        means.append(how_often.astype(np.float64) @ values / count)
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5), axis=0)
    return [[float(ends[0]), float(ends[1])] for ends in zip(low, high, strict=True)]
