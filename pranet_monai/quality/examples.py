# SPDX-License-Identifier: Apache-2.0
"""Masks whose true Dice is known, to calibrate with; and how well a calibration does on patients it hasn't seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pranet_monai.errors import UsageError
from pranet_monai.quality.calibration import Calibration, OrganSize
from pranet_monai.quality.features import COMBINED
from pranet_monai.quality.model import DiceModel, fit_model
from scipy.stats import rankdata, spearmanr

__all__ = [
    "BAD",
    "UNCHANGED",
    "Example",
    "alarms",
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

_OF_COPIES = 0.3  # weight of all degraded copies together, against that of the cases as they are
_LEAST_PATIENTS = 3
_STEPS = 1000  # of the limit, from 0 to 1
FOUND = 0.9
"""The share of bad masks that ``review`` is to find, on patients that were left out ..."""
FALSE_ALARMS = 0.15
"""... as far as it marks no more than this share of the good ones, of cases as they are."""


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


def review_limit(examples: Sequence[Example], expected: Numbers) -> float:
    """The expected Dice below which a mask's worst organ marks it.

    It is 0.8, more where that finds nine of ten bad masks, less where that would mark too many good ones.

    Args:
        examples: with patients left out,
        expected: for each.
    """
    masks = _by_mask(examples, expected)
    bad = np.sort([level for _, dice, level in masks if dice < BAD])
    good = np.sort([level for name, dice, level in masks if dice >= BAD and name[1] == UNCHANGED])
    finding = bad[math.ceil(FOUND * len(bad)) - 1] if len(bad) else 0.0
    sparing = good[math.floor(FALSE_ALARMS * len(good))] if len(good) else BAD
    # the first value that is above what is to be found; what is to be spared isn't below it
    return float(min(max(math.floor(finding * _STEPS + 1) / _STEPS, BAD), math.floor(sparing * _STEPS) / _STEPS))


def _by_mask(examples: Sequence[Example], expected: Numbers) -> list[tuple[tuple[str, str, float], float, float]]:
    """Case, degradation and strength of each mask, with the worst true and the worst expected Dice of its organs."""
    masks: dict[tuple[str, str, float], list[tuple[float, float]]] = {}
    for one, guess in zip(examples, expected, strict=True):
        masks.setdefault((one.case, one.degradation, one.strength), []).append((one.dice, float(guess)))
    return [(name, min(dice for dice, _ in both), min(guess for _, guess in both)) for name, both in masks.items()]


def calibrated(
    examples: Sequence[Example],
    sizes: Mapping[str, OrganSize],
    weights_sha256: str,
    passes: int,
    made_of: Mapping[str, Any],
) -> Calibration:
    """The calibration that examples give, with its scores on patients that were left out.

    Args:
        examples: of two patients at least.
        sizes: organ → its usual size.
        weights_sha256: of the weights that made the masks.
        passes: how many were averaged.
        made_of: goes into the file, with the counts.

    Raises:
        UsageError: there are too few patients to leave one out.
    """
    patients, cases = (len({getattr(one, name) for one in examples}) for name in ("patient", "case"))
    if patients < _LEAST_PATIENTS:
        raise UsageError(f"calibration: found {patients} patients; allowed: {_LEAST_PATIENTS} or more")
    names = usable_measures(examples)
    expected, truth = left_out(examples, names), np.array([one.dice for one in examples])
    limit = review_limit(examples, expected)
    parts = {"unchanged": [one.degradation == UNCHANGED for one in examples], "all": [True] * len(examples)}
    validation: dict[str, Any] = {"method": "leave one patient out, all its degraded copies included"}
    for part, which in parts.items():
        chosen = [one for one, is_in in zip(examples, which) if is_in]
        validation[part] = {**scores(truth[which], expected[which]), **alarms(chosen, expected[which], limit)}
    counts = {**made_of, "patients": patients, "cases": cases, "examples": len(examples)}
    return Calibration(weights_sha256, passes, fit(examples, names), sizes, limit, counts, validation)


def alarms(examples: Sequence[Example], expected: Numbers, limit: float) -> dict[str, float]:
    """What a limit finds: the share of bad organs below it, and of good ones; then of masks by their worst organ.

    ``review`` is of masks: one is bad where an organ is, and flagged where an organ is expected to be.
    """
    masks = [(dice, level) for _, dice, level in _by_mask(examples, expected)]
    organs = [(one.dice, float(guess)) for one, guess in zip(examples, expected, strict=True)]
    found: dict[str, float] = {}
    for prefix, pairs in {"": organs, "masks_": masks}.items():
        values = np.array(pairs)
        bad, flagged = values[:, 0] < BAD, values[:, 1] < limit
        for name, marked in (("found", flagged[bad]), ("false_alarms", flagged[~bad])):
            found[prefix + name] = float(marked.mean()) if len(marked) else float("nan")
    return found
