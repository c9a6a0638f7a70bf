# SPDX-License-Identifier: Apache-2.0
"""A map of how sure a network is of its own labels, on the image's grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pranet_monai.inferers import Resampling
from pranet_monai.transforms.slicing import SliceStack
from torch import Tensor

__all__ = ["ConfidenceMap", "class_probabilities"]


class ConfidenceMap:
    """Watches a :class:`~pranet_monai.inferers.WatchableInferer`; see its ``watched_by``.

    A pixel's value is the probability of the class decided for, mean over the final logits and the opinions: 1 where
    all are sure of it, low where they aren't or differ.

    Args:
        resampling: on which pixels the watched slices are.
    """

    def __init__(self, resampling: Resampling) -> None:
        self.resampling = resampling
        self._stack: SliceStack | None = None

    def __call__(self, stack: SliceStack, numbers: range, maps: Sequence[Tensor]) -> None:
        """Fills in a batch of slices; being told of them again changes nothing."""
        probabilities = [class_probabilities(logits) for logits in maps]
        decided = probabilities[0].max(1, keepdim=True).indices
        sure = torch.stack([one.gather(1, decided) for one in probabilities]).mean(0)
        planes = self.resampling.back(sure, stack.size, lambda confidence: confidence)
        if self._stack is None:
            self._stack = stack.blank(1, torch.float32)
        self._stack.put(numbers, planes.clamp(0, 1))

    @property
    def volume(self) -> Tensor:
        """``(1, T, H, W, D)``, or of images ``(1, 1, H, W)``."""
        if self._stack is None:
            raise ValueError("no slice has been seen yet")
        return self._stack.volume


def class_probabilities(logits: Tensor) -> Tensor:
    """Of all classes ``(N, C, h, w)``; a single logit has the background beside it."""
    if logits.shape[1] > 1:
        return logits.softmax(1)
    foreground = logits.sigmoid()
    return torch.cat([1 - foreground, foreground], 1)
