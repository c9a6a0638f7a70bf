# SPDX-License-Identifier: Apache-2.0
"""Dice and IoU of two masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from pranet_monai.metrics.masks import as_mask_pair

__all__ = ["dice", "iou"]


def dice(prediction: ArrayLike, reference: ArrayLike) -> float:
    """Dice coefficient ``2 |P ∩ R| / (|P| + |R|)`` (Dice 1945).

    Args:
        prediction: mask (D, H, W), boolean or holding only 0 and 1; any number of axes.
        reference: mask of the same shape.

    Returns:
        0 (also when exactly one mask is empty) to 1; NaN when both are empty.

    Raises:
        ValueError: when the shapes differ or an array is no mask.
    """
    prediction, reference = as_mask_pair(prediction, reference)
    size = np.count_nonzero(prediction) + np.count_nonzero(reference)
    return float(2 * np.count_nonzero(prediction & reference) / size) if size else float("nan")


def iou(prediction: ArrayLike, reference: ArrayLike) -> float:
    """Intersection over union, the Jaccard index ``|P ∩ R| / |P ∪ R|`` (Jaccard 1901). Arguments as for :func:`dice`.

    Returns:
        0 (also when exactly one mask is empty) to 1; NaN when both are empty.
    """
    prediction, reference = as_mask_pair(prediction, reference)
    union = np.count_nonzero(prediction | reference)
    return float(np.count_nonzero(prediction & reference) / union) if union else float("nan")
