# SPDX-License-Identifier: Apache-2.0
"""Loss of the multi-class networks: cross entropy and Dice on foregrounds, binary cross entropy on backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from monai.losses import DiceLoss
from monai.networks.utils import one_hot
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.loss import _Loss

__all__ = ["COMBINATIONS", "DualSupervisionLoss"]

COMBINATIONS = ("mutation", "deep_supervision", "last_layer", "stages_and_sum")


def _subsets(combination: str, stages: int) -> list[tuple[int, ...]]:
    every = tuple(range(stages))
    if combination == "mutation":
        return [subset for size in range(1, stages + 1) for subset in combinations(every, size)]
    if combination == "last_layer":
        return [every[-1:]]
    singles: list[tuple[int, ...]] = [(stage,) for stage in every]
    return singles + [every] if combination == "stages_and_sum" and stages > 1 else singles


class DualSupervisionLoss(_Loss):
    """Dual supervision of PraNet-V2 (Eq. 4–5) over combinations of stages.

    For each subset of stages their foreground logits are added, likewise the background logits, and the subset costs::

        ce_weight * CE(foreground) + dice_weight * Dice(softmax(foreground)) + bce_weight * BCE(background, not class)

    The target of background plane c is 1 wherever the label isn't c, class 0 included. The costs of all subsets are
    summed as in the originals. Without background maps (network without DSRA) the last term is absent; the originals
    then use ``ce_weight=0.3``.

    Args:
        combination: "mutation" (all non-empty subsets, the papers' recipe), "deep_supervision" (each stage alone),
            "last_layer" (the finest), "stages_and_sum" (each stage, and the sum of all, which is what is tested).
        ce_weight: weight of the cross entropy.
        dice_weight: weight of the Dice loss: squared denominators, over the whole batch, mean over classes.
        bce_weight: weight of the background's binary cross entropy.

    Raises:
        ValueError: ``combination`` is unknown.
    """

    def __init__(
        self, combination: str = "mutation", ce_weight: float = 0.5, dice_weight: float = 0.7, bce_weight: float = 0.3
    ) -> None:
        super().__init__()
        if combination not in COMBINATIONS:
            raise ValueError(f"combination is {combination!r}, must be one of {', '.join(COMBINATIONS)}.")
        self.combination = combination
        self.ce_weight = ce_weight
        self.dice_weight = dice_weight
        self.bce_weight = bce_weight
        self.dice = DiceLoss(softmax=True, squared_pred=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)

    def forward(self, input: Sequence[Sequence[Tensor]], target: Tensor) -> Tensor:
        """The scalar loss.

        Args:
            input: (foregrounds, backgrounds) as ``StageLogits`` holds them: lists of logits ``(B, C, H, W)``, coarse →
                fine; backgrounds may be empty.
            target: labels ``(B, 1, H, W)``, integer values 0 … C − 1.

        Raises:
            ValueError: the target's shape does not go with the logits.
        """
        foregrounds, backgrounds = input
        batch, classes, height, width = foregrounds[0].shape
        if target.shape != (batch, 1, height, width):
            raise ValueError(f"target has shape {list(target.shape)}, must be {[batch, 1, height, width]} (labels).")
        labels = target[:, 0].long()
        truth = one_hot(target, classes, dtype=foregrounds[0].dtype)
        losses = []
        for subset in _subsets(self.combination, len(foregrounds)):
            foreground = torch.stack([foregrounds[stage] for stage in subset]).sum(0)
            loss = self.ce_weight * F.cross_entropy(foreground, labels) + self.dice_weight * self.dice(
                foreground, truth
            )
            if len(backgrounds) > 0:
                background = torch.stack([backgrounds[stage] for stage in subset]).sum(0)
                loss = loss + self.bce_weight * F.binary_cross_entropy_with_logits(background, 1 - truth)
            losses.append(loss)
        return torch.stack(losses).sum()
