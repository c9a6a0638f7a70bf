# SPDX-License-Identifier: Apache-2.0
"""Reverse attention: look where the coarser map has found nothing yet.

Source: Chen et al., "Reverse Attention for Salient Object Detection", ECCV 2018, in the form of
Fan et al., "PraNet: Parallel Reverse Attention Network for Polyp Segmentation", MICCAI 2020.
"""

import torch
from torch import Tensor

__all__ = ["reverse_attention"]


def reverse_attention(feature: Tensor, logits: Tensor) -> Tensor:
    """Erases from a feature what a map has found already.

    Args:
        feature: (B, C, H, W).
        logits: (B, n, H, W); with several classes a place counts as found as soon as one of them claims it.

    Returns:
        (B, C, H, W): the feature times one minus the probability.
    """
    return feature * (1 - torch.sigmoid(logits)).amin(dim=1, keepdim=True)
