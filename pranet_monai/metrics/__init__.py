# SPDX-License-Identifier: Apache-2.0
"""Scores of segmentations: pure functions on masks, tables per case, summaries, and MONAI metric classes."""

from .cardiac import cardiac_indices
from .case import HIGHER_IS_BETTER, case_metrics
from .overlap import dice, iou
from .paper import paper_case_metrics, paper_polyp_metrics, summarise_paper
from .polyp import polyp_metrics, summarise_polyps
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
    "cardiac_indices",
    "case_metrics",
    "dice",
    "hd95",
    "iou",
    "nsd",
    "paper_case_metrics",
    "paper_polyp_metrics",
    "polyp_metrics",
    "summarise",
    "summarise_paper",
    "summarise_polyps",
]
