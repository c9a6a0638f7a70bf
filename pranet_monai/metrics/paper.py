# SPDX-License-Identifier: Apache-2.0
"""The protocol of the papers, faults included, for comparison with published tables and for nothing else.

It is the evaluation code of the original EMCAD, MIST, MERIT and PraNet. Every name here and in the rows says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pranet_monai.metrics.masks import as_mask_pair
from pranet_monai.metrics.overlap import dice, iou
from pranet_monai.metrics.polyp import as_grey_map, saliency_metrics
from pranet_monai.metrics.surface import SurfaceDistances

__all__ = [
    "PAPER_POLYP_NOTE",
    "PAPER_VOLUME_NOTE",
    "paper_case_metrics",
    "paper_grey_map",
    "paper_polyp_metrics",
    "paper_volume_metrics",
    "summarise_paper",
]

PAPER_VOLUME_NOTE = (
    "Protocol of the papers: distances in voxels, whatever the spacing; a missed organ scores HD95 and ASSD 0, the "
    "best; an organ predicted where there is none scores Dice and IoU 1; one absent from both scores Dice and IoU 0."
)
PAPER_POLYP_NOTE = (
    "Protocol of the papers: each map is stretched to its own minimum and maximum and cut to 8 bits, and Dice and IoU "
    "are means over 256 thresholds, of which the lowest calls the whole image polyp; an image without polyp scores 0."
)


def paper_volume_metrics(prediction: ArrayLike, reference: ArrayLike) -> dict[str, float]:
    """Measures one organ as the papers do.

    Args:
        prediction: mask (D, H, W), boolean or holding only 0 and 1.
        reference: mask of the same shape.

    Returns:
        ``paper_dice``, ``paper_hd95_voxels``, ``paper_iou`` and ``paper_assd_voxels``, see :data:`PAPER_VOLUME_NOTE`.

    Raises:
        ValueError: when the shapes differ or an array is no mask.
    """
    prediction, reference = as_mask_pair(prediction, reference)
    surfaces = SurfaceDistances(prediction, reference, (1,) * prediction.ndim)
    if surfaces.status == "ok":
        values = dice(prediction, reference), surfaces.hd95("pooled"), iou(prediction, reference), surfaces.assd()
    else:
        overlap = 1.0 if surfaces.status == "false_positive" else 0.0
        values = overlap, 0.0, overlap, 0.0
    return dict(zip(("paper_dice", "paper_hd95_voxels", "paper_iou", "paper_assd_voxels"), values))


def paper_case_metrics(
    prediction: ArrayLike, reference: ArrayLike, organs: Mapping[str, Sequence[int]]
) -> list[dict[str, Any]]:
    """Measures each organ of one case as the papers do.

    Args:
        prediction: labels (H, W, D), checked before by :func:`~pranet_monai.metrics.case_metrics`.
        reference: labels of the same shape.
        organs: name → the labels whose union is the organ.

    Returns:
        One row per organ: ``organ`` and the numbers of :func:`paper_volume_metrics`.
    """
    predicted, expert = np.asarray(prediction), np.asarray(reference)
    return [
        {"organ": organ, **paper_volume_metrics(np.isin(predicted, indices), np.isin(expert, indices))}
        for organ, indices in organs.items()
    ]


def paper_grey_map(probability: ArrayLike) -> NDArray[np.uint8]:
    """The map (H, W) as the originals store it: stretched to its own range in float32 and cut to 8 bits."""
    grey = np.asarray(probability, dtype=np.float32)
    stretched = (grey - grey.min()) / (grey.max() - grey.min() + np.float32(1e-8))
    return (stretched * 255).astype(np.uint8)


def paper_polyp_metrics(prediction: ArrayLike, reference: ArrayLike) -> dict[str, float]:
    """Measures one image as the papers do.

    Args:
        prediction: probability (H, W) in [0, 1], or the 8-bit map (uint8) that :func:`paper_grey_map` makes of it.
        reference: mask (H, W), boolean or holding only 0 and 1. The originals call each non-zero pixel of it polyp.

    Returns:
        ``paper_mean_dice``, ``paper_mean_iou``, ``paper_mean_e``, ``paper_weighted_f``, ``paper_s_measure`` and
        ``paper_mae``, see :data:`PAPER_POLYP_NOTE`; the weighted F of an image without polyp is NaN.

    Raises:
        ValueError: when the shapes differ, the map leaves [0, 1] or the reference is no mask.
    """
    array = np.asarray(prediction)
    grey = array if array.dtype == np.uint8 else paper_grey_map(as_grey_map(array))
    probability = as_grey_map(grey / 255)
    _, mask = as_mask_pair(probability > 0, reference)
    return {f"paper_{name}": value for name, value in saliency_metrics(probability, mask).items()}


def summarise_paper(rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Averages paper rows as the papers do: over the cases, then over the organs, zeros of empty masks included.

    Args:
        rows: of all cases, with ``organ`` and columns whose names begin with ``paper_``; others are ignored.

    Returns:
        ``{"organs": {organ: {name: mean}}, "overall": {name: mean}}``, ready for JSON: an undefined mean is None.
    """
    table = pd.DataFrame(rows)
    names = [name for name in table if str(name).startswith("paper_")]
    if not names:
        return {"organs": {}, "overall": {}}
    means = table.groupby("organ", sort=False)[names].agg(lambda values: values.mean(skipna=False))
    overall = means.mean(skipna=False)
    return {
        "organs": {str(organ): _json_safe(row) for organ, row in means.iterrows()},
        "overall": _json_safe(overall),
    }


def _json_safe(row: pd.Series) -> dict[str, float | None]:
    return {str(name): float(value) if np.isfinite(value) else None for name, value in row.items()}
