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
    statistics = {name: _statistics(_per_case(scored, name), seed) for name in metrics if name in table}
    counts = {f"n_{kind}": int((table["status"] == kind).sum()) for kind in COUNTED}
    return {"n": int(scored["case"].nunique()), **counts, **statistics}


def _per_case(scored: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    # skipna=False: a case with an undefined organ is undefined itself, rather than the mean of its better organs.
    values = scored[metric].astype(np.float64).groupby(scored["case"], sort=True)
    return values.agg(lambda part: part.mean(skipna=False)).to_numpy(dtype=np.float64)


def _statistics(values: NDArray[np.float64], seed: int) -> dict[str, Any]:
    """Mean, sample sd, median and 95 % interval of the mean of one value per case."""
    undefined = int(np.count_nonzero(~np.isfinite(values)))
    result: dict[str, Any] = dict.fromkeys(("mean", "sd", "median", "ci95"))
    result["n_undefined"] = undefined
    if undefined or not len(values):
        return result
    result |= {"mean": float(values.mean()), "median": float(np.median(values))}
    if len(values) > 1:
        result |= {"sd": float(values.std(ddof=1)), "ci95": bootstrap_interval(values, seed)}
    return result


def bootstrap_interval(values: NDArray[np.float64], seed: int = 0) -> list[float]:
    """Both ends of the 95 % percentile bootstrap of the mean of finite values (n,)."""
    # The percentile method with draws that depend on n alone: a worse value can't move either end the better way,
    # which a corrected interval (BCa) doesn't promise.
    draws = np.random.default_rng(seed).integers(0, len(values), size=(RESAMPLES, len(values)))
    return [float(end) for end in np.percentile(values[draws].mean(axis=1), (2.5, 97.5))]
