# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from pranet_monai.metrics.saliency import s_measure, threshold_means, weighted_f

from .blobs import blob_pair


def grey_pair(seed: int, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A grey map that is brighter inside its mask, of 8-bit levels if asked for."""
    rng = np.random.default_rng(seed)
    reference, other = blob_pair(seed, (24, 31), 0.3)
    grey = 0.3 * reference + 0.3 * other + 0.4 * rng.random(reference.shape)
    return (np.round(grey * levels) / levels if levels else grey), reference


def means_of_a_loop(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """The same three means, threshold by threshold and pixel by pixel."""
    dice, iou, e = [], [], []
    truth = reference.astype(float)
    for threshold in np.linspace(1, 0, 256):
        binary = (prediction >= threshold).astype(float)
        hits = (binary * truth).sum()
        dice.append(2 * hits / (binary.sum() + truth.sum()) if hits else 0)
        iou.append(hits / np.maximum(binary, truth).sum() if hits else 0)
        if truth.all() or not truth.any():
            enhanced = binary if truth.all() else 1 - binary
        else:
            a, b = truth - truth.mean(), binary - binary.mean()
            enhanced = (2 * a * b / (a**2 + b**2 + np.finfo(float).eps) + 1) ** 2 / 4
        e.append(enhanced.sum() / (truth.size - 1))
    return {"mean_dice": np.mean(dice), "mean_iou": np.mean(iou), "mean_e": np.mean(e)}


@pytest.mark.parametrize("levels", [None, 255])
@pytest.mark.parametrize("seed", range(3))
def test_histogram_equals_the_loop(seed: int, levels: int | None) -> None:
    pair = grey_pair(seed, levels)
    assert threshold_means(*pair) == pytest.approx(means_of_a_loop(*pair), abs=1e-12)


@pytest.mark.parametrize("value", [False, True])
def test_histogram_equals_the_loop_without_foreground_or_background(value: bool) -> None:
    prediction, reference = grey_pair(0)
    reference[:] = value
    assert threshold_means(prediction, reference) == pytest.approx(means_of_a_loop(prediction, reference), abs=1e-12)


def test_map_equal_to_the_mask() -> None:
    _, reference = grey_pair(1)
    perfect = reference.astype(float)
    share = reference.mean()
    # All thresholds but 0 give the mask itself; 0 gives the whole image.
    means = threshold_means(perfect, reference)
    assert means["mean_dice"] == pytest.approx((255 + 2 * share / (1 + share)) / 256)
    assert means["mean_iou"] == pytest.approx((255 + share) / 256)
    assert s_measure(perfect, reference) == pytest.approx(1)
    assert weighted_f(perfect, reference) == pytest.approx(1)


def test_s_measure_by_hand() -> None:
    # 2 x 2, the object above: half of it is found. Objects: foreground 0.5 ± 0.5, background 1 ± 0. The centroid, row 0
    # and column round(0.5) = 0, makes the last quadrant the whole image.
    prediction = np.array([[1.0, 0.0], [0.0, 0.0]])
    reference = np.array([[True, True], [False, False]])
    objects = 0.5 * (2 * 0.5 / (0.25 + 1 + 0.5)) + 0.5 * (2 / (1 + 1))
    variance_p, variance_r, covariance = 0.75 / 3, 1 / 3, 0.5 / 3
    region = 4 * 0.25 * 0.5 * covariance / ((0.25**2 + 0.5**2) * (variance_p + variance_r))
    assert s_measure(prediction, reference) == pytest.approx(0.5 * objects + 0.5 * region)


def test_s_measure_is_never_negative() -> None:
    _, reference = grey_pair(1)
    assert s_measure(1.0 - reference, reference) == 0  # objects 0, regions below 0


def test_without_foreground_or_background() -> None:
    prediction = np.full((4, 5), 0.25)
    nothing, everything = np.zeros((4, 5), bool), np.ones((4, 5), bool)
    assert s_measure(prediction, nothing) == 0.75
    assert s_measure(prediction, everything) == 0.25
    assert math.isnan(weighted_f(prediction, nothing))
    # All errors are 0.75: hits 20 * 0.25, no false ones, so recall is 0.25 and precision 1.
    assert weighted_f(prediction, everything) == pytest.approx(2 * 0.25 / 1.25)


def test_weighted_f_counts_far_errors_more() -> None:
    _, reference = grey_pair(2)
    near, far = reference.astype(float), reference.astype(float)
    distances = np.abs(np.argwhere(~reference)[:, None] - np.argwhere(reference)).max(axis=2).min(axis=1)
    near[tuple(np.argwhere(~reference)[distances.argmin()])] = 1
    far[tuple(np.argwhere(~reference)[distances.argmax()])] = 1
    assert weighted_f(far, reference) < weighted_f(near, reference) < 1
