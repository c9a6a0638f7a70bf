# SPDX-License-Identifier: Apache-2.0
"""Scores of segmentations: pure functions on masks, tables per case, summaries, and MONAI metric classes."""

from .segmentation_metrics import SegmentationDice, SegmentationMetric

__all__ = ["SegmentationDice", "SegmentationMetric"]
