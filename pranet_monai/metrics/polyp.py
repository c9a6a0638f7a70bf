# SPDX-License-Identifier: Apache-2.0
"""Metrics of a polyp probability map, and their summary, where images without a polyp are judged by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pranet_monai.metrics.masks import as_mask_pair, mask_status
from pranet_monai.metrics.overlap import dice, iou
from pranet_monai.metrics.saliency import s_measure, threshold_means, weighted_f
from pranet_monai.metrics.summary import summarise

__all__ = ["POLYP_METRICS", "polyp_metrics", "summarise_polyps"]

POLYP_METRICS = ("dice", "iou", "mean_dice", "mean_iou", "weighted_f", "s_measure", "mean_e", "mae")
"""The metrics of an image with a polyp; all but ``mae`` are better when higher."""


def polyp_metrics(prediction: ArrayLike, reference: ArrayLike) -> dict[str, Any]:
    """Measures one image. The map is taken as it is: stretched to its own range, an image without polyp would get one.

    Args:
        prediction: probability (H, W) in [0, 1].
        reference: mask (H, W), boolean or holding only 0 and 1.

    Returns:
        At the threshold 0.5 ``dice`` and ``iou`` (NaN when both masks are empty), ``specificity`` (the part of the
        pixels outside the polyp that is not predicted; NaN when there are none outside) and ``status`` ("ok",
        "missed", "false_positive" or "both_empty"); over 256 thresholds ``mean_dice``, ``mean_iou`` and ``mean_e``;
        of the grey values ``weighted_f``, ``s_measure`` and ``mae``.

    Raises:
        ValueError: when the shapes differ, the map leaves [0, 1] or the reference is no mask.
    """
    probability = as_grey_map(prediction)
    predicted, mask = as_mask_pair(probability >= 0.5, reference)
    outside = np.count_nonzero(~mask)
    return {
        "dice": dice(predicted, mask),
        "iou": iou(predicted, mask),
        "specificity": float(np.count_nonzero(~predicted & ~mask) / outside) if outside else float("nan"),
        **saliency_metrics(probability, mask),
        "status": mask_status(predicted, mask),
    }


def saliency_metrics(probability: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The metrics that look at the grey values of the map (H, W)."""
    return {
        **threshold_means(probability, mask),
        "weighted_f": weighted_f(probability, mask),
        "s_measure": s_measure(probability, mask),
        "mae": float(np.abs(probability - mask).mean()),
    }


def as_grey_map(prediction: ArrayLike) -> np.ndarray:
    """The map as float64.

    Raises:
        ValueError: when it is no image or leaves [0, 1].
    """
    probability = np.asarray(prediction, dtype=np.float64)
    if probability.ndim != 2 or not probability.size:
        raise ValueError(f"prediction must be one grey image (H, W), got shape {probability.shape}")
    if not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(
            f"prediction must hold probabilities in [0, 1], got {probability.min()} to {probability.max()}; "
            "divide 8-bit maps by 255, pass logits through a sigmoid"
        )
    return probability


def summarise_polyps(rows: pd.DataFrame | Sequence[Mapping[str, Any]], *, seed: int = 0) -> dict[str, Any]:
    """Summarises the rows of :func:`polyp_metrics` over images.

    Args:
        rows: one per image, with its ``case``.
        seed: of the bootstrap.

    Returns:
        ``{"with_polyp": summary, "without_polyp": summary}``, ready for JSON, each as in
        :func:`~pranet_monai.metrics.summarise`. The first holds :data:`POLYP_METRICS`, a missed polyp included. The
        second holds ``specificity`` (of pixels) and ``image_specificity``: 1 where no pixel is predicted, else 0.
    """
    table = pd.DataFrame(rows, columns=None if len(rows) else ["case", "status", "specificity", *POLYP_METRICS])
    negative = table["status"].isin(["false_positive", "both_empty"])
    clean = (table["status"] == "both_empty").astype(float)
    # An image without polyp that is predicted so is a success to be counted here, not a case to be left out.
    images = table.assign(organ="polyp", image_specificity=clean, status=table["status"].replace("both_empty", "ok"))
    return {
        "with_polyp": summarise(images[~negative], metrics=POLYP_METRICS, seed=seed)["overall"],
        "without_polyp": summarise(images[negative], metrics=("specificity", "image_specificity"), seed=seed)[
            "overall"
        ],
    }
