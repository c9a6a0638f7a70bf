# SPDX-License-Identifier: Apache-2.0
"""On which pixels the network sees a slice, and how its answer comes back to the slice's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.transforms.slicing import SliceStack
from pranet_monai.transforms.zoom import resize_planes, zoom_planes
from torch import Tensor

__all__ = ["Resampling", "ToPixdim", "ToSize"]

_MAX_SIDE = 4096  # of a resampled slice, in pixels: metres of a patient; beyond, the header's unit isn't mm
_MODES = ("bilinear", "cubic")


@dataclass(frozen=True)
class Resampling:
    """The network sees the slice's own pixels; what other ways are made from."""

    def size_of(self, stack: SliceStack) -> tuple[int, int]:
        """Size ``(h, w)`` at which the network sees the slices of ``stack``."""
        return stack.size

    def forth(self, planes: Tensor, size: Sequence[int]) -> Tensor:
        """Slices ``(N, C, H, W)`` at the network's ``size``: ``(N, C, h, w)``."""
        return planes

    def back(self, logits: Tensor, native: Sequence[int], decide: Callable[[Tensor], Tensor]) -> Tensor:
        """Logits ``(N, K, h, w)`` → what ``decide`` makes of them, at the slices' own size ``(N, K', H, W)``."""
        return decide(logits)


@dataclass(frozen=True)
class ToPixdim(Resampling):
    """Slices are resampled to the spacing that the network was trained at.

    Bilinear, antialiased where it shrinks. The logits come back to the slice's own pixels (bilinear) before the
    decision, so borders of labels are as fine as the image.

    Args:
        pixdim: mm between rows and between columns.

    Raises:
        UsageError: not two positive numbers.
    """

    pixdim: Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixdim", _pair("pixdim", self.pixdim))

    def size_of(self, stack: SliceStack) -> tuple[int, int]:
        """The same field of view in pixels of the wanted spacing.

        Raises:
            BadCaseError: it has no pixels then, or too many: the header's unit can't be mm.
        """
        spacing = stack.spacing
        height, width = (round(side * mm / new) for side, mm, new in zip(stack.size, spacing, self.pixdim))
        if max(height, width) > _MAX_SIDE or max(height, width) < 1:
            field = " x ".join(f"{side * mm:.3g}" for side, mm in zip(stack.size, spacing))
            raise BadCaseError(
                f"found slices of {stack.size} pixels that cover {field} mm, which are {(height, width)} pixels of "
                f"{self.pixdim} mm; allowed: 1 to {_MAX_SIDE}; fix: the header's voxel sizes must be in mm"
            )
        return max(1, height), max(1, width)

    def forth(self, planes: Tensor, size: Sequence[int]) -> Tensor:
        """Slices at the wanted spacing, ``(N, C, h, w)``."""
        return resize_planes(planes, size)

    def back(self, logits: Tensor, native: Sequence[int], decide: Callable[[Tensor], Tensor]) -> Tensor:
        """The decision on the slices' own pixels, ``(N, K', H, W)``."""
        return decide(resize_planes(logits, native))


@dataclass(frozen=True)
class ToSize(Resampling):
    """Slices are squeezed into one size, whatever their proportions, as the papers do.

    Args:
        size: ``(h, w)`` in pixels, of the network's input.
        mode: ``"bilinear"``, PraNet's for images: antialiased, and logits come back before the decision;
            ``"cubic"``, that of TransUNet and its successors (EMCAD, MERIT, MIST): ``scipy.ndimage.zoom`` of order 3,
            and the decision comes back by order 0 (labels are as coarse as the network's input).

    Raises:
        UsageError: not two positive numbers, or another mode.
    """

    size: Sequence[int]
    mode: str = "bilinear"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _pair("size", self.size))
        if self.mode not in _MODES:
            raise UsageError(f"mode={self.mode!r} is unknown: use one of {', '.join(map(repr, _MODES))}")

    def size_of(self, stack: SliceStack) -> tuple[int, int]:
        """The stated size, ``(h, w)``."""
        height, width = self.size
        return height, width

    def forth(self, planes: Tensor, size: Sequence[int]) -> Tensor:
        """Slices squeezed, ``(N, C, h, w)``."""
        return zoom_planes(planes, size, order=3) if self.mode == "cubic" else resize_planes(planes, size)

    def back(self, logits: Tensor, native: Sequence[int], decide: Callable[[Tensor], Tensor]) -> Tensor:
        """The decision at the slices' own size, ``(N, K', H, W)``."""
        if self.mode == "cubic":
            return zoom_planes(decide(logits), native, order=0)
        return decide(resize_planes(logits, native))


def _pair(name: str, values: Sequence[float]) -> tuple[float, ...]:
    if len(values) != 2 or min(values) <= 0:
        raise UsageError(f"{name}={values} must be two positive numbers")
    return tuple(values)
