# SPDX-License-Identifier: Apache-2.0
"""Structure loss of the polyp networks: BCE and IoU, both weighted towards the mask's boundary."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.loss import _Loss

__all__ = ["StructureLoss"]


class StructureLoss(_Loss):
    """Weighted BCE + weighted IoU per foreground map, weighted BCE per background map, summed over maps.

    Fan et al., "PraNet" (MICCAI 2020), and PraNet-V2 (2025) with the background term. A pixel weighs
    ``1 + 5 |mean of the mask in 31×31 − mask|``.

    Args:
        background_weight: weight of the background maps' term.
        bce_weight: weight of the foreground maps' BCE.
        iou_weight: weight of the foreground maps' IoU.
        weighted_bce: False reproduces PraNet-V1's code, whose BCE is a plain mean over all pixels: it passes
            ``reduce="none"``, which PyTorch reads as "reduce".
    """

    def __init__(
        self,
        background_weight: float = 0.8,
        weighted_bce: bool = True,
        bce_weight: float = 1.0,
        iou_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.bce_weight = bce_weight
        self.iou_weight = iou_weight
        self.background_weight = background_weight
        self.weighted_bce = weighted_bce

    def forward(self, input: Sequence[Sequence[Tensor]], target: Tensor) -> Tensor:
        """The scalar loss.

        Args:
            input: (foregrounds, backgrounds): lists of logits ``(B, 1, H, W)``; backgrounds may be empty.
            target: mask ``(B, 1, H, W)`` in [0, 1], soft values allowed.

        Raises:
            ValueError: the target's shape is not that of the logits.
        """
        foregrounds, backgrounds = input
        if target.shape != foregrounds[0].shape:
            raise ValueError(f"target has shape {list(target.shape)}, must be {list(foregrounds[0].shape)} (a mask).")
        mask = target.to(foregrounds[0].dtype)
        weight = 1 + 5 * torch.abs(_mean_of_31(mask) - mask)
        losses = [
            self.bce_weight * self._bce(logits, mask, weight) + self.iou_weight * _iou(logits, mask, weight)
            for logits in foregrounds
        ]
        losses += [self.background_weight * self._bce(logits, 1 - mask, weight) for logits in backgrounds]
        return torch.stack([loss.mean() for loss in losses]).sum()

    def _bce(self, logits: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
        if not self.weighted_bce:
            return F.binary_cross_entropy_with_logits(logits, mask)
        bce = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
        return (weight * bce).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))


def _mean_of_31(mask: Tensor) -> Tensor:
    """The mean in 31×31, what lies outside being 0: along columns, then along rows, in a fifteenth of the additions."""
    columns = F.avg_pool2d(mask, (31, 1), stride=1, padding=(15, 0))
    return F.avg_pool2d(columns, (1, 31), stride=1, padding=(0, 15))


def _iou(logits: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    probability = torch.sigmoid(logits)
    intersection = (weight * probability * mask).sum(dim=(2, 3))
    union = (weight * (probability + mask)).sum(dim=(2, 3)) - intersection
    return 1 - (intersection + 1) / (union + 1)
