# SPDX-License-Identifier: Apache-2.0
"""Inferers that show their logits before these become a decision, to judge it by."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar

from monai.inferers import Inferer
from pranet_monai.inferers.resampling import Resampling
from pranet_monai.transforms.slicing import SliceStack
from torch import Tensor

__all__ = ["WatchableInferer", "Watcher"]

Watcher = Callable[[SliceStack, range, tuple[Tensor, ...]], None]
"""Sees, of each batch of slices, the stack, the numbers, and maps ``(N, K, h, w)``: the final logits first; last, of
an inferer of several passes, the first alone. May be told of the same slices again, after GPU memory has run out."""

Self = TypeVar("Self", bound="WatchableInferer")


class WatchableInferer(Inferer):
    """What :mod:`pranet_monai.quality` can judge the masks of.

    Attributes:
        watcher: who sees the logits; None for nobody.
    """

    watcher: Watcher | None = None

    @property
    @abstractmethod
    def passes(self) -> int:
        """Of how many passes the final logits are the mean: mirrored ones, of several views."""

    @property
    @abstractmethod
    def watched_pixels(self) -> Resampling:
        """On which pixels a watcher sees a slice."""

    def watched_by(self: Self, watcher: Watcher) -> Self:
        """The same inferer, whose logits a callback sees before they become labels; the labels are the same.

        Args:
            watcher: see there. A network that returns several maps shows it all of them; labels are made of the first.
        """
        watched = copy.copy(self)
        watched.watcher = watcher
        return watched
