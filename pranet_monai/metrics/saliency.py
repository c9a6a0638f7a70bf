# SPDX-License-Identifier: Apache-2.0
"""Metrics of a grey map in [0, 1] against a mask, as polyp papers report them: threshold means, S and weighted F.

They follow the evaluation of the original PraNet exactly. pysodmetrics does not: it moves the centroid of S by a pixel
and takes the sample deviation there, pads the Gaussian of weighted F with zeros, and cuts grey values to 8 bits for E.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pranet_monai.metrics.masks import Mask
from scipy import ndimage

__all__ = ["THRESHOLDS", "s_measure", "threshold_means", "weighted_f"]

THRESHOLDS = np.linspace(1, 0, 256)
_EPS = np.finfo(np.float64).eps

GreyMap = NDArray[np.float64]


def threshold_means(prediction: GreyMap, reference: Mask) -> dict[str, float]:
    """Means of Dice, IoU and the enhanced-alignment measure E over the 256 thresholds 1, 254/255, …, 0.

    All three depend on four pixel counts per threshold only, which one histogram gives for all thresholds.

    Args:
        prediction: grey map (H, W) in [0, 1]; a pixel is foreground where it is at least the threshold.
        reference: mask (H, W).

    Returns:
        ``mean_dice`` and ``mean_iou``, where a threshold without a hit scores 0 (so they are 0 without a polyp), and
        ``mean_e`` (Fan et al., IJCAI 2018).
    """
    hits, predicted = _counts_per_threshold(prediction, reference)
    size, positives = reference.size, int(np.count_nonzero(reference))
    union = np.maximum(predicted + positives - hits, 1)  # both are empty where this is 0, and then so are the hits
    return {
        "mean_dice": float(np.mean(2 * hits / np.maximum(predicted + positives, 1))),
        "mean_iou": float(np.mean(hits / union)),
        "mean_e": float(np.mean(_enhanced_alignment(hits, predicted, positives, size))),
    }


def _counts_per_threshold(prediction: GreyMap, reference: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels at or above each threshold: inside the reference, and in all."""
    # Which thresholds a pixel reaches is found by the comparison itself, not by scaling: k / 255 and a threshold may
    # differ in the last bit.
    reached = np.searchsorted(THRESHOLDS[::-1], prediction.ravel(), side="right")
    bins = len(THRESHOLDS) + 1
    inside = np.bincount(reached[reference.ravel()], minlength=bins)
    everywhere = np.bincount(reached, minlength=bins)
    return tuple(np.cumsum(histogram[:0:-1]) for histogram in (inside, everywhere))  # type: ignore[return-value]


def _enhanced_alignment(
    hits: NDArray[np.int64], predicted: NDArray[np.int64], positives: int, size: int
) -> NDArray[np.float64]:
    if positives == 0:
        total = (size - predicted).astype(np.float64)
    elif positives == size:
        total = predicted.astype(np.float64)
    else:
        total = np.zeros(len(hits))
        counts = {
            (1, 1): hits,
            (0, 1): positives - hits,
            (1, 0): predicted - hits,
            (0, 0): size - positives - predicted + hits,
        }
        for (p, r), count in counts.items():
            a, b = r - positives / size, p - predicted / size
            total += count * (2 * a * b / (a**2 + b**2 + _EPS) + 1) ** 2 / 4
    return total / (size - 1 + _EPS)


def s_measure(prediction: GreyMap, reference: Mask) -> float:
    """Structure measure, half object and half region similarity (Fan et al., ICCV 2017).

    Args:
        prediction: grey map (H, W) in [0, 1].
        reference: mask (H, W).

    Returns:
        0 to 1; without foreground (background) in the reference 1 - mean (the mean) of the prediction.
    """
    share = reference.mean()
    if share in (0, 1):
        return float(prediction.mean() if share else 1 - prediction.mean())
    objects = share * _object_similarity(prediction[reference])
    objects += (1 - share) * _object_similarity(1 - prediction[~reference])
    row, column = (int(n) for n in np.round(np.argwhere(reference).mean(axis=0)))
    quadrants = [(rows, columns) for rows in _split(row) for columns in _split(column)]
    weights = [reference[quadrant].size / reference.size for quadrant in quadrants]
    regions = sum(w * _ssim(prediction[q], reference[q]) for w, q in zip(weights, quadrants) if w)
    return float(max(0.5 * objects + 0.5 * regions, 0))


def _split(position: int) -> tuple[slice, slice]:
    return slice(None, position), slice(position, None)


def _object_similarity(values: NDArray[np.float64]) -> float:
    mean = values.mean()
    return float(2 * mean / (mean**2 + 1 + values.std() + _EPS))


def _ssim(prediction: GreyMap, reference: Mask) -> float:
    mean_p, mean_r = prediction.mean(), reference.mean()
    apart_p, apart_r = prediction - mean_p, reference - mean_r
    degrees = prediction.size - 1 + _EPS
    covariance = 4 * mean_p * mean_r * (apart_p * apart_r).sum() / degrees
    spread = (mean_p**2 + mean_r**2) * ((apart_p**2).sum() + (apart_r**2).sum()) / degrees
    if covariance == 0:
        return 1.0 if spread == 0 else 0.0
    return float(covariance / (spread + _EPS))


def weighted_f(prediction: GreyMap, reference: Mask) -> float:
    """Weighted F-measure, beta 1: errors near the object count less (Margolin et al., CVPR 2014).

    Args:
        prediction: grey map (H, W) in [0, 1].
        reference: mask (H, W).

    Returns:
        0 to 1; NaN when the reference is empty.
    """
    if not reference.any():
        return float("nan")
    distance, nearest = ndimage.distance_transform_edt(~reference, return_indices=True)
    error = np.abs(prediction - reference)
    # A background pixel takes the error of its nearest object pixel, so that the smoothing below sees the object only.
    smooth = ndimage.convolve(error[tuple(nearest)], _gaussian(7, 5.0), mode="nearest")
    inside = np.minimum(error, smooth)[reference]
    outside = (error * (2 - np.exp(np.log(0.5) / 5 * distance)))[~reference].sum()
    hits = reference.sum() - inside.sum()
    recall, precision = 1 - inside.mean(), hits / (hits + outside + _EPS)
    return float(2 * recall * precision / (recall + precision + _EPS))


def _gaussian(size: int, sigma: float) -> NDArray[np.float64]:
    line = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2
