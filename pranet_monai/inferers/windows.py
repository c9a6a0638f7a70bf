# SPDX-License-Identifier: Apache-2.0
"""Slices through a network in one pass each, or in overlapping windows where they are too large for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from monai.inferers.utils import sliding_window_inference
from pranet_monai.errors import UsageError
from torch import Tensor

__all__ = ["Windows"]

_MODES = ("gaussian", "constant")


@dataclass(frozen=True)
class Windows:
    """Slices of at most ``roi_size`` go through whole, larger ones in windows of that size.

    A whole slice is filled up to the next multiple of what the network can divide; one that is smaller than a window on
    one side is filled up to the window. Half of what is missing comes before, half behind, and it is cut off again.

    Args:
        roi_size: ``(h, w)``; None takes any slice whole.
        overlap: of neighbouring windows, 0 to below 1.
        mode: weight of a window's pixels where windows overlap, ``"gaussian"`` or ``"constant"``.
        padding: the value to fill up with. Zero suits networks that were trained with zeros there, as this project's
        are.

    Raises:
        UsageError: an argument outside of what is listed here.
    """

    roi_size: Sequence[int] | None = None
    overlap: float = 0.25
    mode: str = "gaussian"
    padding: float = 0.0

    def __post_init__(self) -> None:
        if self.roi_size is not None and (len(self.roi_size) != 2 or min(self.roi_size) <= 0):
            raise UsageError(f"roi_size={self.roi_size} must be two positive numbers, or None")
        if not 0 <= self.overlap < 1:
            raise UsageError(f"overlap={self.overlap} must be in [0, 1)")
        if self.mode not in _MODES:
            raise UsageError(f"mode={self.mode!r} is unknown: use one of {', '.join(map(repr, _MODES))}")

    def __call__(
        self, planes: Tensor, predict: Callable[[Tensor], tuple[Tensor, ...]], divisor: int = 1, batch_size: int = 1
    ) -> tuple[Tensor, ...]:
        """Logits ``(N, K, h, w)`` of slices ``(N, C, h, w)``, and whatever maps come with them.

        Args:
            planes: the slices.
            predict: images ``(n, C, h', w')`` → maps ``(n, K, h', w')``; h' and w' are multiples of ``divisor`` for
                whole slices.
            divisor: see there.
            batch_size: windows per call of ``predict``; whole slices all go in one.
        """
        sides = planes.shape[-2:]
        if self.roi_size is None or all(side <= most for side, most in zip(sides, self.roi_size)):
            padded, inner = self._padded(planes, [-(-side // divisor) * divisor for side in sides])
            return tuple(maps[inner] for maps in predict(padded))
        padded, inner = self._padded(planes, [max(pair) for pair in zip(sides, self.roi_size)])
        every = sliding_window_inference(
            padded, self.roi_size, batch_size, predict, overlap=self.overlap, mode=self.mode
        )
        every = (every,) if isinstance(every, Tensor) else cast(tuple[Tensor, ...], every)  # it unpacks a single one
        return tuple(maps[inner] for maps in every)

    def _padded(self, planes: Tensor, sides: Sequence[int]) -> tuple[Tensor, tuple[Any, ...]]:
        """``planes`` filled up to ``sides``, and the index of what they are of it."""
        starts = [(new - old) // 2 for new, old in zip(sides, planes.shape[-2:])]
        inner: tuple[Any, ...] = (..., *(slice(start, start + old) for start, old in zip(starts, planes.shape[-2:])))
        if tuple(sides) == tuple(planes.shape[-2:]):
            return planes, inner
        padded = planes.new_full((*planes.shape[:2], *sides), self.padding)
        padded[inner] = planes
        return padded, inner
