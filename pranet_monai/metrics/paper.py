# SPDX-License-Identifier: Apache-2.0
"""The protocol of the papers, faults included, for comparison with published tables and for nothing else.

It is the evaluation code of the original EMCAD, MIST and MERIT on volumes. Names here and in the rows have ``paper``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pranet_monai.metrics.masks import as_mask_pair
from pranet_monai.metrics.overlap import dice, iou
from pranet_monai.metrics.surface import SurfaceDistances

__all__ = ["PAPER_VOLUME_NOTE", "paper_case_metrics", "paper_volume_metrics", "summarise_paper"]

PAPER_VOLUME_NOTE = (
    "Protocol of the papers: distances in voxels, whatever the spacing; a missed organ scores HD95 and ASSD 0, the "
    "best; an organ predicted where there is none scores Dice and IoU 1; one absent from both scores Dice and IoU 0."
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
    predicted, truth = np.asarray(prediction), np.asarray(reference)
    return [
        {"organ": organ, **paper_volume_metrics(np.isin(predicted, indices), np.isin(truth, indices))}
        for organ, indices in organs.items()
    ]


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
    return {"organs": {str(organ): _json_safe(row) for organ, row in means.iterrows()}, "overall": _json_safe(overall)}


def _json_safe(row: pd.Series) -> dict[str, float | None]:
    return {str(name): float(value) if np.isfinite(value) else None for name, value in row.items()}
