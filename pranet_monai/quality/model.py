# SPDX-License-Identifier: Apache-2.0
"""Expected Dice from an organ's measures: a few weights that can't be negative, so better measures never lower it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

__all__ = ["DiceModel", "fit_model"]

Array = NDArray[np.float64]

_EDGE = 0.002  # measures are told apart up to this distance from 0 and from 1
_SOFTNESS = 0.02  # of the loss: errors of Dice below count squared, those above by their amount
_RIDGE = 1.0  # pulls weights to one another, and offsets too: examples of few patients don't tell them apart


@dataclass(frozen=True)
class DiceModel:
    """``Dice = expit(offset of the organ + sum of weight * logit(measure))``.

    Attributes:
        weights: measure → weight, 0 or more.
        offsets: organ → offset.
    """

    weights: Mapping[str, float]
    offsets: Mapping[str, float]

    def expected_dice(self, organ: str, measures: Mapping[str, float]) -> float:
        """Of an organ that the mask holds.

        Args:
            organ: one of :attr:`offsets`.
            measures: name → value, 0 to 1; one that this input can't have, NaN, counts as the mean of the others.
        """
        values = _scaled([measures[name] for name in self.weights])
        return float(expit(self.offsets[organ] + np.dot(list(self.weights.values()), values)))


def _scaled(measures: Sequence[float] | Array) -> Array:
    """Measures (..., M) from 0 … 1 to minus … plus infinity, but for a margin at either end.

    NaN becomes the mean of the others; 0 counts where all are NaN.
    """
    values = np.asarray(logit(np.clip(np.asarray(measures, dtype=float), _EDGE, 1 - _EDGE)))
    known = ~np.isnan(values)
    count = known.sum(-1, keepdims=True)
    mean = np.where(known, values, 0).sum(-1, keepdims=True) / np.maximum(count, 1)
    return np.where(known, values, np.where(count, mean, logit(_EDGE)))


def fit_model(
    measures: Mapping[str, Sequence[float]], organs: Sequence[str], dice: Sequence[float], counts: Sequence[float]
) -> DiceModel:
    """The model of least error on examples.

    Args:
        measures: name → its value in each example.
        organs: of each example.
        dice: the true one of each example.
        counts: how often each example counts.
    """
    names, known = list(measures), sorted(set(organs))
    columns = _scaled(np.stack([np.asarray(measures[name], dtype=float) for name in names], axis=1))
    which = np.array([known.index(organ) for organ in organs])
    design = np.concatenate([np.eye(len(known))[which], columns], axis=1)
    truth, share = np.asarray(dice, dtype=float), np.asarray(counts, dtype=float) / np.sum(counts)

    def loss(parameters: Array) -> tuple[float, Array]:
        expected = expit(design @ parameters)
        error = expected - truth
        root = np.sqrt(1 + (error / _SOFTNESS) ** 2)
        slope = share * error / root / _SOFTNESS**2 * expected * (1 - expected)
        offsets, weights = np.split(parameters, [len(known)])
        apart = np.concatenate([offsets - offsets.mean(), weights - weights.mean()])
        gradient = design.T @ slope + _RIDGE * apart
        return float(share @ (root - 1) + _RIDGE / 2 * apart @ apart), gradient

    start = np.concatenate([np.zeros(len(known)), np.full(len(names), 1 / len(names))])
    bounds = [(None, None)] * len(known) + [(0, None)] * len(names)
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return DiceModel(
        {name: float(weight) for name, weight in zip(names, found[len(known) :])},
        {organ: float(offset) for organ, offset in zip(known, found)},
    )
