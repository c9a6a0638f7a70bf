# SPDX-License-Identifier: Apache-2.0
"""Scores of segmentations: pure functions on masks, tables per case, summaries, and MONAI metric classes."""

from .case import HIGHER_IS_BETTER, case_metrics
from .overlap import dice, iou
from .segmentation_metrics import SegmentationDice, SegmentationMetric, SegmentationSurface
from .summary import summarise
from .surface import SurfaceDistances, assd, hd95, nsd

__all__ = [
    "HIGHER_IS_BETTER",
    "SegmentationDice",
    "SegmentationMetric",
    "SegmentationSurface",
    "SurfaceDistances",
    "assd",
    "case_metrics",
    "dice",
    "hd95",
    "iou",
    "nsd",
    "summarise",
]
