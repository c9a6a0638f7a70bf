# SPDX-License-Identifier: Apache-2.0
"""Scores of segmentations: pure functions on masks, tables per case, summaries, and a MONAI metric class."""

from pranet_monai.metrics.cardiac import cardiac_indices
from pranet_monai.metrics.case import HIGHER_IS_BETTER, case_metrics
from pranet_monai.metrics.overlap import dice, iou
from pranet_monai.metrics.paper import paper_case_metrics, summarise_paper
from pranet_monai.metrics.polyp import polyp_metrics, summarise_polyps
from pranet_monai.metrics.segmentation_dice import SegmentationDice
from pranet_monai.metrics.summary import summarise
from pranet_monai.metrics.surface import SurfaceDistances, assd, hd95, nsd

__all__ = [
    "HIGHER_IS_BETTER",
    "SegmentationDice",
    "SurfaceDistances",
    "assd",
    "cardiac_indices",
    "case_metrics",
    "dice",
    "hd95",
    "iou",
    "nsd",
    "paper_case_metrics",
    "polyp_metrics",
    "summarise",
    "summarise_paper",
    "summarise_polyps",
]
