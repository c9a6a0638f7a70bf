# SPDX-License-Identifier: Apache-2.0
"""Masks whose true Dice is known, to calibrate with; and how well a calibration does on patients it hasn't seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from pranet_monai.errors import UsageError
from pranet_monai.quality.calibration import Calibration, OrganSize
from pranet_monai.quality.features import COMBINED
from pranet_monai.quality.model import DiceModel, fit_model

__all__ = [
    "BAD",
    "UNCHANGED",
    "Example",
    "auroc",
    "calibrated",
    "fit",
    "left_out",
    "review_limit",
    "scores",
    "usable_measures",
]

Numbers = Sequence[float] | NDArray[np.float64]

BAD = 0.8
"""A Dice below this is a mask to look at."""

UNCHANGED = "none"
"""What stands for the degradation of a case as it is."""

_OF_COPIES = 0.3  # weight of all worse copies together, against that of the cases as they are
_LEAST_PATIENTS = 3
_STEPS = 1000  # of the limit, from 0 to 1
FOUND = 0.9
"""The share of bad masks that ``review`` is to find, on patients that were left out."""


@dataclass(frozen=True)
class Example:
    """One organ of one mask.

    Attributes:
        patient: all of whose examples are left out together.
        case: its name.
        degradation: what was done to the image, or :data:`UNCHANGED`.
        strength: of it, 0 to 1.
        organ: which.
        dice: with the reference, which holds the organ.
        size: of the organ in the mask, in ml or as a share of the pixels; 0 where the mask hasn't got it.
        measures: see ``features.MEASURES``.
    """

    patient: str
    case: str
    degradation: str
    strength: float
    organ: str
    dice: float
    size: float
    measures: Mapping[str, float]


def usable_measures(examples: Sequence[Example], wanted: Sequence[str] = COMBINED) -> list[str]:
    """Those of the measures that these examples have, in their order."""
    held = [one for one in examples if one.size > 0]
    return [name for name in wanted if any(np.isfinite(one.measures.get(name, np.nan)) for one in held)]


def fit(examples: Sequence[Example], names: Sequence[str]) -> DiceModel:
    """The model of these measures; masks without the organ are left out, as nothing but its absence tells of them."""
    held = [one for one in examples if one.size > 0]
    unchanged = sum(one.degradation == UNCHANGED for one in held)
    of_copy = _OF_COPIES * unchanged / max(1, len(held) - unchanged)
    counts = [1.0 if one.degradation == UNCHANGED else of_copy for one in held]
    return fit_model(
        {name: [one.measures[name] for one in held] for name in names},
        [one.organ for one in held], [one.dice for one in held], counts,
    )  # fmt: skip


def left_out(examples: Sequence[Example], names: Sequence[str]) -> NDArray[np.float64]:
    """The Dice expected of each example by a model of the other patients'; 0 where the mask lacks the organ."""
    expected = np.zeros(len(examples))
    for patient in dict.fromkeys(one.patient for one in examples):
        model = fit([one for one in examples if one.patient != patient], names)
        for index, one in enumerate(examples):
            if one.patient == patient and one.size > 0:
                expected[index] = model.expected_dice(one.organ, one.measures)
    return expected


def scores(dice: Numbers, expected: Numbers) -> dict[str, Any]:
    """How well expected and true Dice agree: ``n``, ``bad`` (< 0.8), ``mae``, ``auroc`` for the bad, ``spearman``."""
    truth, guess = np.asarray(dice, dtype=float), np.asarray(expected, dtype=float)
    bad = truth < BAD
    return {
        "n": len(truth),
        "bad": int(bad.sum()),
        "mae": float(np.abs(truth - guess).mean()),
        "auroc": auroc(bad, guess),
        "spearman": float(spearmanr(truth, guess).statistic) if len(truth) > 2 else float("nan"),
    }


def auroc(bad: Sequence[bool] | NDArray[np.bool_], values: Numbers) -> float:
    """The probability that a bad mask has a lower value than a good one; NaN where there are no two kinds."""
    is_bad = np.asarray(bad, dtype=bool)
    lost, kept = int(is_bad.sum()), int((~is_bad).sum())
    if not lost or not kept:
        return float("nan")
    ranks = rankdata(np.nan_to_num(np.asarray(values, dtype=float), nan=-1.0))
    return float(1 - (ranks[is_bad].sum() - lost * (lost + 1) / 2) / (lost * kept))


def review_limit(dice: Numbers, expected: Numbers) -> float:
    """The expected Dice below which a mask is to be reviewed: finds 90 % of the bad ones, and is never below 0.8."""
    truth, guess = np.asarray(dice, dtype=float), np.asarray(expected, dtype=float)
    bad = np.sort(guess[truth < BAD])
    if not len(bad):
        return BAD
    last = float(bad[math.ceil(FOUND * len(bad)) - 1])
    return max(BAD, math.floor(last * _STEPS + 1) / _STEPS)


def calibrated(
    examples: Sequence[Example],
    sizes: Mapping[str, OrganSize],
    weights_sha256: str,
    mirrored: bool,
    made_of: Mapping[str, Any],
) -> Calibration:
    """The calibration that examples give, with its scores on patients that were left out.

    Args:
        examples: of two patients at least.
        sizes: organ → its usual size.
        weights_sha256: of the weights that made the masks.
        mirrored: whether passes were averages over mirrored copies.
        made_of: goes into the file, with the counts.

    Raises:
        UsageError: there are too few patients to leave one out.
    """
    patients, cases = (len({getattr(one, name) for one in examples}) for name in ("patient", "case"))
    if patients < _LEAST_PATIENTS:
        raise UsageError(f"calibration: found {patients} patients; allowed: {_LEAST_PATIENTS} or more")
    names = usable_measures(examples)
    expected, truth = left_out(examples, names), np.array([one.dice for one in examples])
    limit = review_limit(truth, expected)
    unchanged = np.array([one.degradation == UNCHANGED for one in examples])
    validation = {
        "method": "leave one patient out, all its worse copies included",
        "unchanged": {**scores(truth[unchanged], expected[unchanged]), **_alarms(truth, expected, limit, unchanged)},
        "all": {**scores(truth, expected), **_alarms(truth, expected, limit, np.ones_like(unchanged))},
    }
    counts = {**made_of, "patients": patients, "cases": cases, "examples": len(examples)}
    return Calibration(weights_sha256, mirrored, fit(examples, names), sizes, limit, counts, validation)


def _alarms(
    dice: NDArray[np.float64], expected: NDArray[np.float64], limit: float, which: NDArray[np.bool_]
) -> dict[str, float]:
    """The share of bad organs that are to be reviewed, and of good ones."""
    bad, flagged = dice[which] < BAD, expected[which] < limit
    shares = {"found": flagged[bad], "false_alarms": flagged[~bad]}
    return {name: float(values.mean()) if len(values) else float("nan") for name, values in shares.items()}
