# SPDX-License-Identifier: Apache-2.0
"""Training on RGB images at several sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.utils import CommonKeys
from torch import Tensor
from torch.nn.functional import interpolate

__all__ = ["RandomSizeBatch"]


class RandomSizeBatch:
    """``prepare_batch`` of the polyp recipe: each batch at one of several sizes, image and (soft) mask alike.

    The original takes a step at every size on every batch; here a batch gets one, drawn at random.

    Args:
        sizes: sides in pixels.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = list(sizes)

    def __call__(
        self, batch: Mapping[str, Tensor], device: torch.device, non_blocking: bool = False, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Image (B, C, s, s) and mask (B, 1, s, s) in [0, 1] on the device."""
        side = self.sizes[int(torch.randint(len(self.sizes), ()))]

        def resized(planes: Tensor) -> Tensor:
            planes = planes.as_subclass(Tensor).to(device, non_blocking=non_blocking)
            return interpolate(planes, (side, side), mode="bilinear", align_corners=True)

        return resized(batch[CommonKeys.IMAGE]), resized(batch[CommonKeys.LABEL])
