# SPDX-License-Identifier: Apache-2.0
"""One 2D network over a volume along several axes, the views' logits averaged before the decision."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.utils import convert_to_dst_type
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.geometry import ANATOMICAL_AXES
from pranet_monai.inferers.resampling import Resampling
from pranet_monai.inferers.slice_volume import SliceVolumeInferer
from pranet_monai.inferers.watching import WatchableInferer, Watcher
from pranet_monai.storage.memory import available_memory, readable_bytes
from pranet_monai.transforms.slicing import SliceStack
from torch import Tensor

__all__ = ["MultiViewInferer"]


class MultiViewInferer(WatchableInferer):
    """Segments a volume by its axial, coronal and sagittal slices together.

    For a network that was trained on the slices of every view it is given. Each view costs a pass of its own, and the
    logits of the whole volume stay in memory: ``classes x voxels`` in ``float32``, twice over,
    and three times where a watcher compares the first view.

    Args:
        inferer: what segments each view; its ``axis`` is replaced, its ``output`` and ``activation`` are those of the
            result.
        axes: the views, of ``"axial"``, ``"coronal"`` and ``"sagittal"``, or a single one.

    Raises:
        UsageError: no view, one that is unknown, or one twice.
    """

    def __init__(
        self, inferer: SliceVolumeInferer, axes: str | Sequence[str] = ("axial", "coronal", "sagittal")
    ) -> None:
        super().__init__()
        axes = (axes,) if isinstance(axes, str) else tuple(axes)
        if not axes or len(set(axes)) < len(axes) or not set(axes) <= set(ANATOMICAL_AXES):
            known = ", ".join(map(repr, ANATOMICAL_AXES))
            raise UsageError(f"axes={list(axes)} must be one or more of {known}, each once")
        self.inferer = inferer
        self.axes = tuple(axes)
        self._views = [copy.copy(inferer) for _ in axes]
        for view, axis in zip(self._views, axes):
            view.axis, view.output = axis, "logits"

    @property
    def passes(self) -> int:
        """Those of all views."""
        return len(self.axes) * self.inferer.passes

    @property
    def watched_pixels(self) -> Resampling:
        """The volume's own, on which the views meet."""
        return Resampling()

    def watched_by(self, watcher: Watcher) -> MultiViewInferer:
        """The same inferer, of which a callback sees the slices of the first view: their mean logits, and its own.

        Args:
            watcher: see there.
        """
        watched = super().watched_by(watcher)
        watched._views = [view.watched_by(_nobody) for view in self._views]  # takes networks that give several maps
        return watched

    @torch.inference_mode()
    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Segment a batch of volumes.

        Args:
            inputs: ``(B, C, H, W, D)``; see :class:`SliceVolumeInferer`.
            network: 2D network in eval mode, ``(N, C, h, w)`` → logits ``(N, K, h, w)``.
            args: passed on to the network.
            kwargs: passed on to the network.

        Returns:
            ``(B, T * K', H, W, D)``, as :class:`SliceVolumeInferer` gives it.

        Raises:
            BadCaseError: inputs that have one view only, too little memory for the views' logits, and see
                :class:`SliceVolumeInferer`.
            UsageError: see :class:`SliceVolumeInferer`.
        """
        if inputs.ndim != 5:
            raise BadCaseError(f"several views need volumes (B, C, H, W, D), got {tuple(inputs.shape)}")
        first, *others = self._views
        logits = first(inputs, network, *args, **kwargs).as_subclass(Tensor)
        if others:
            _check_memory(logits, 2 if self.watcher is not None else 1)
        alone = [logits.clone()] if self.watcher is not None and self.passes > 1 else []
        for view in others:
            logits += view(inputs, network, *args, **kwargs).as_subclass(Tensor)
        logits /= len(self.axes)
        frames = inputs.shape[1] // self.inferer.channels_of_a_frame(inputs, network)
        self._show(inputs, (logits, *alone), frames)
        decided = self.inferer.decide(logits.unflatten(1, (frames, -1)).flatten(0, 1))
        with torch.inference_mode(False):  # or later transforms could not change it in place
            volume = decided.unflatten(0, (-1, frames)).flatten(1, 2).clone()
        return convert_to_dst_type(volume, inputs, dtype=volume.dtype, device=volume.device)[0]

    def _show(self, inputs: Tensor, maps: Sequence[Tensor], frames: int) -> None:
        """Lets the watcher see maps ``(B, T * K, H, W, D)``, slice by slice of the first view."""
        if self.watcher is None:
            return
        laid = [convert_to_dst_type(one, inputs)[0] for one in maps]
        stacks = [SliceStack(one, self.axes[0], one.shape[1] // frames) for one in laid]
        for number in range(len(stacks[0])):
            numbers = range(number, number + 1)
            self.watcher(stacks[0], numbers, tuple(stack.cut(numbers) for stack in stacks))


def _check_memory(logits: Tensor, copies: int) -> None:
    """Refuses a volume whose further logits don't fit: the kernel would end the process, not the case."""
    needed, available = copies * logits.nbytes, available_memory()
    if logits.device.type == "cpu" and available is not None and needed > available:
        raise BadCaseError(
            f"found logits of shape {tuple(logits.shape)} for each view, of which {copies} more at once need "
            f"{readable_bytes(needed)} of memory; allowed: {readable_bytes(available)}, what is available now; fix: "
            "segment by one view (--set axis=axial), train with fewer classes, or use a machine with more memory"
        )


def _nobody(*seen: Any) -> None:
    """Watches without looking."""
