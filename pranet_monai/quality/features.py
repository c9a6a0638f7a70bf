# SPDX-License-Identifier: Apache-2.0
"""From sums per slice to a few measures per organ, each 0 (nothing fits) to 1 (full agreement)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pranet_monai.quality.sums import OPINIONS, SliceSums

__all__ = ["COMBINED", "MEASURES", "organ_measures"]

MEASURES = {
    "soft_dice": "soft Dice of the probabilities with their own decision, whole volume",
    "soft_dice_worst": "the same, mean of the worst fifth of the organ's slices",
    "mean_probability": "mean probability of the organ inside of its mask",
    "certainty": "1 - entropy, mean inside of the mask",
    "last": "Dice of the decision with that of a single stage",
    "last_worst": "the same, mean of the worst fifth of the slices",
    "background": "Dice of the decision with that of the background maps (DSRA)",
    "background_worst": "the same, mean of the worst fifth of the slices",
    "mirrored": "Dice of the decision with that of the first pass alone, where several are averaged",
    "mirrored_worst": "the same, mean of the worst fifth of the slices",
    "continuity": "Dice of the mask in neighbouring slices",
    "kept": "share of the mask that the clean-up has kept",
    "plausibility": "how usual the organ's volume is, among those of the calibration",
}
"""Name → what it is. A measure that a network, a run or an input can't have is NaN; one that found nothing is 0."""

COMBINED = ("soft_dice", "soft_dice_worst", "certainty", "last", "background", "mirrored", "continuity")
"""What expected Dice is made of, as far as a run has it. The others tell no more than these together, see the tables of
``docs/quality.md``."""

_WORST = 0.2  # share of the organ's slices, by area
_LEAST = 0.05  # of the largest slice's area: slices with less of the organ than that are left out of the worst


def organ_measures(sums: SliceSums, frame: int, organs: Mapping[str, Sequence[int]]) -> dict[str, dict[str, float]]:
    """The measures of each organ that can be told from the maps; ``kept`` and ``plausibility`` are NaN.

    Args:
        sums: of a case.
        frame: which of its frames.
        organs: name → the classes whose union it is.

    Returns:
        Organ → measure → value.
    """
    return {organ: _measures(sums, frame, list(classes)) for organ, classes in organs.items()}


def _measures(sums: SliceSums, frame: int, classes: list[int]) -> dict[str, float]:
    def shared(name: str) -> np.ndarray:
        return sums.tables[name][frame][:, classes][:, :, classes].sum((1, 2))

    def mass(name: str) -> np.ndarray:
        return sums.masses[name][frame][:, classes].sum(1)

    # every class's probability sums to 1 in each pixel, so a row of the table is the area of its decision
    area = sums.tables["probability"][frame][:, classes].sum((1, 2))
    entropy = sums.entropies[frame][:, classes].sum()
    found = dict.fromkeys(MEASURES, np.nan)
    found["soft_dice"], found["soft_dice_worst"] = _overlap(shared("probability"), area, mass("probability"))
    found["mean_probability"] = _ratio(shared("probability").sum(), area.sum())
    found["certainty"] = _ratio(area.sum() - entropy, area.sum())
    for name in OPINIONS:
        if name in sums.tables:
            found[name], found[f"{name}_worst"] = _overlap(shared(name), area, mass(name))
    if len(area) > 1:  # a single slice has no neighbours
        before = mass("previous")
        pairs = (area > 0) & (before > 0)
        found["continuity"] = _ratio(2 * shared("previous")[pairs].sum(), (area + before)[pairs].sum())
    return {name: float(value) for name, value in found.items()}


def _overlap(shared: np.ndarray, area: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Dice over all slices, and the mean over the worst of them, each weighted by its size."""
    both = area + other
    whole = _ratio(2 * shared.sum(), both.sum())
    counted = both > 2 * _LEAST * area.max(initial=0)
    if not counted.any() or both.sum() == 0:
        return whole, whole
    values, weights = 2 * shared[counted] / both[counted], both[counted]
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    left = _WORST * weights.sum() - np.concatenate([[0], np.cumsum(weights)[:-1]])
    taken = np.clip(left, 0, weights)
    return whole, float((values * taken).sum() / taken.sum())


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
