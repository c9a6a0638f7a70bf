# SPDX-License-Identifier: Apache-2.0
"""A 2D network over 3D volumes, slice batch by slice batch, with memory that doesn't grow with classes × slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from monai.utils import convert_to_dst_type
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.geometry import ANATOMICAL_AXES, THROUGH_PLANE
from pranet_monai.inferers.memory import AdaptiveBatches
from pranet_monai.inferers.resampling import Resampling
from pranet_monai.inferers.watching import WatchableInferer
from pranet_monai.inferers.windows import Windows
from pranet_monai.transforms.slicing import SliceStack, neighbours
from torch import Tensor, nn
from tqdm import tqdm

__all__ = ["SliceVolumeInferer"]

_MAX_CLASSES = 256  # labels are uint8
_CPU_BATCH, _GPU_BATCH = 2, 16
_MIRRORINGS = ((0,), (1,), (0, 1))
_CHOICES: dict[str, tuple[Any, ...]] = {
    "axis": (*ANATOMICAL_AXES, THROUGH_PLANE, 0, 1, 2),
    "output": ("labels", "probabilities", "logits"),
    "activation": ("softmax", "sigmoid"),
}


class SliceVolumeInferer(WatchableInferer):
    """Runs a 2D network over the slices of a volume and gives labels on the volume's own grid.

    Slices go through the network in batches and each batch is turned into labels at once, so only a ``uint8`` volume
    is kept: peak memory is that volume and one batch, whatever the number of classes and slices. ``resampling`` says on
    which pixels the network sees a slice, ``roi_size`` up to which size it sees it whole.

    The slicing axis is anatomical and found in the ``MetaTensor``'s affine. Several frames of a cine series that come
    as channels are segmented one by one. Works as the ``inferer`` of a bundle and in MONAI Label.

    Args:
        roi_size: the largest slice ``(h, w)`` in pixels that goes through the network in one pass, filled up
            with ``padding`` to a multiple of the network's ``divisor``; larger ones go in windows of this size, as in
            ``monai.inferers.SliceInferer``. None: all slices whole.
        overlap: of neighbouring windows, 0 to below 1.
        mode: weight of a window's pixels where windows overlap, ``"gaussian"`` or ``"constant"``.
        padding: the value to fill slices up with.
        resampling: None, the slice's own pixels; :class:`~pranet_monai.inferers.ToPixdim`, pixels of a stated spacing;
            :class:`~pranet_monai.inferers.ToSize`, squeezed into one size, as the papers do.
        axis: ``"axial"``, ``"coronal"``, ``"sagittal"``; ``"through_plane"``, the axis along which a stack was
            acquired, whatever its anatomy; or a spatial axis 0, 1, 2 to cut along whatever it means.
        output: ``"labels"`` (``uint8``), ``"probabilities"`` or ``"logits"`` (``float32``, memory grows accordingly).
        activation: ``"softmax"``, labels exclude each other (argmax); ``"sigmoid"``, every channel is a mask of its own
            (threshold 0.5), as regions are. A single channel is always ``"sigmoid"``.
        in_channels: the network's; None reads ``network.in_channels``, or else takes all channels as one frame.
        divisor: of which the sides of the network's input must be multiples; None reads ``network.divisor``, or else
            takes 1.
        adjacent_slices: n neighbours on each side of a slice that the network sees as further channels (2.5D), in the
            order of the axis; its channels are 2n + 1 times the image's. At the ends the outermost slice is repeated.
        tta: mirrored passes whose logits are averaged with the plain one, each as the slice axes it mirrors (0 along
            the rows' axis, 1 the columns'): any of ``[[0], [1], [0, 1]]``.
        channels_last: lay out the network's weights and images channels-last, in place: the same numbers to rounding,
            and faster convolutions (EMCAD-B2 on a CPU: a quarter less time for single slices).
        sw_batch_size: slices (or windows) per call of the network; None for what the executor's runtime wants, else for
            2 on a CPU, whose caches hold no more (EMCAD-B2 takes 1.4 times as long per slice in batches of 8), and 16
            elsewhere.
        sw_device: where the network runs; None for the inputs' device.
        device: where the result is kept; None for the inputs' device.
        progress: show a bar over the slices on stderr.
        executor: makes of the network and the device what runs it, such as :class:`pranet_monai.runtimes.Executor`;
            None for the network itself.

    Raises:
        UsageError: an argument outside of what is listed here.
    """

    def __init__(
        self,
        roi_size: Sequence[int] | None = None,
        overlap: float = 0.25,
        mode: str = "gaussian",
        padding: float = 0.0,
        resampling: Resampling | None = None,
        axis: str | int = "axial",
        output: str = "labels",
        activation: str = "softmax",
        in_channels: int | None = None,
        divisor: int | None = None,
        adjacent_slices: int = 0,
        tta: Sequence[Sequence[int]] = (),
        channels_last: bool = False,
        sw_batch_size: int | None = None,
        sw_device: torch.device | str | None = None,
        device: torch.device | str | None = None,
        progress: bool = False,
        executor: Callable[[Callable[..., Any], torch.device], Callable[..., Any]] | None = None,
    ) -> None:
        super().__init__()
        self.windows = Windows(None if roi_size is None else tuple(roi_size), overlap, mode, padding)
        self.resampling = Resampling() if resampling is None else resampling
        self.axis = axis
        self.output = output
        self.activation = activation
        self.in_channels = in_channels
        self.divisor = divisor
        self.adjacent_slices = adjacent_slices
        self.tta = [tuple(axes) for axes in tta]
        self.channels_last = channels_last
        self.sw_batch_size = sw_batch_size
        self.sw_device = sw_device
        self.device = device
        self.progress = progress
        self.executor = executor
        self._check_arguments()

    @property
    def passes(self) -> int:
        """The plain one and the mirrored ones."""
        return 1 + len(self.tta)

    @property
    def watched_pixels(self) -> Resampling:
        """Those that the network sees."""
        return self.resampling

    def _check_arguments(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                choices = ", ".join(map(repr, allowed))
                raise UsageError(f"{name}={getattr(self, name)!r} is unknown: use one of {choices}")
        if not isinstance(self.resampling, Resampling):
            raise UsageError(f"resampling={self.resampling!r} is unknown: use ToPixdim, ToSize or None")
        for name in ("sw_batch_size", "divisor"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UsageError(f"{name}={value} must be 1 or more, or None")
        neighbours(self.adjacent_slices, 1)  # refuses a negative number
        if any(axes not in _MIRRORINGS for axes in self.tta):
            raise UsageError(f"tta={self.tta} must list mirrorings, of {list(map(list, _MIRRORINGS))}")

    @torch.inference_mode()
    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Segment a batch of volumes or images.

        Args:
            inputs: ``(B, C, H, W, D)`` or ``(B, C, H, W)``; C may be T times the network's channels, for T frames.
            network: 2D network in eval mode, ``(N, C, h, w)`` → logits ``(N, K, h, w)``.
            args: passed on to the network.
            kwargs: passed on to the network.

        Returns:
            ``(B, T * K', ...)``, frame after frame, on the grid and with the metadata of ``inputs``; K' is 1 for labels
            that exclude each other, else K.

        Raises:
            BadCaseError: inputs without pixels, of other dimensions or channels, or with an unusable affine.
            UsageError: the network doesn't return one tensor of logits at its input's size.
        """
        if self.channels_last and isinstance(network, nn.Module):
            _lay_out_channels_last(network)
        stack = SliceStack(inputs, self.axis, self.channels_of_a_frame(inputs, network), self.adjacent_slices)
        size = self.resampling.size_of(stack)
        divisor = self.divisor or _stated(network, "divisor") or 1
        device = torch.device(self.sw_device or inputs.device)
        run = network if self.executor is None else self.executor(network, device)
        usual = _stated(run, "batch_size") or (_CPU_BATCH if device.type == "cpu" else _GPU_BATCH)
        predict = partial(self._mirrored_maps, network=partial(run, *args, **kwargs))
        with AdaptiveBatches(run, device, self.sw_batch_size or usual) as batches, self._bar(len(stack)) as bar:

            def segment(numbers: range) -> Tensor:
                planes = self.resampling.forth(stack.cut(numbers).to(batches.device, torch.float32), size)
                maps = self.windows(planes, predict, divisor, batches.size)
                if self.watcher is not None:
                    self.watcher(stack, numbers, maps)
                return self.resampling.back(maps[0], stack.size, self.decide)

            result = stack
            for numbers, planes in batches.run(len(stack), segment):
                if numbers.start == 0:  # only the first planes tell channels and type of the output
                    result = stack.blank(planes.shape[1], planes.dtype, self.device)
                result.put(numbers, planes)
                bar.update(len(numbers))
        volume = result.volume
        return convert_to_dst_type(volume, inputs, dtype=volume.dtype, device=volume.device)[0]

    def channels_of_a_frame(self, inputs: Tensor, network: Callable[..., Tensor]) -> int:
        """C, of ``inputs`` that hold one frame or several as channels ``(B, T * C, ...)``.

        Raises:
            BadCaseError: inputs without pixels, of other dimensions, or no whole number of frames.
            UsageError: ``adjacent_slices`` doesn't fit the network.
        """
        if inputs.ndim not in (4, 5) or 0 in inputs.shape:
            shape = tuple(inputs.shape)
            raise BadCaseError(f"inputs must be (B, C, H, W, D) or (B, C, H, W) with at least one pixel, got {shape}")
        channels = self.in_channels or _stated(network, "in_channels")
        seen = 2 * self.adjacent_slices + 1
        if channels and channels % seen:
            raise UsageError(
                f"adjacent_slices={self.adjacent_slices} makes {seen} channels of one: the network's "
                f"{channels} must be a multiple"
            )
        channels = channels // seen if channels else inputs.shape[1]
        if inputs.shape[1] % channels:
            raise BadCaseError(
                f"{inputs.shape[1]} input channels are not a whole number of frames of {channels} channels"
            )
        return channels

    def _mirrored_maps(self, planes: Tensor, network: Callable[[Tensor], Any]) -> tuple[Tensor, ...]:
        maps = self._maps(planes, network)
        if not self.tta:
            return maps
        sums = maps
        for axes in self.tta:
            dims = [axis - 2 for axis in axes]
            mirrored = self._maps(planes.flip(dims), network)
            sums = tuple(one + other.flip(dims) for one, other in zip(sums, mirrored))
        means = tuple(one / (1 + len(self.tta)) for one in sums)
        return means if self.watcher is None else (*means, maps[0])  # the plain pass is a second opinion, too

    def _maps(self, planes: Tensor, network: Callable[[Tensor], Any]) -> tuple[Tensor, ...]:
        answer = network(planes)
        maps = (answer,) if isinstance(answer, Tensor) else answer if self.watcher is not None else ()
        if not maps or not all(isinstance(one, Tensor) for one in maps):
            raise UsageError(f"the network returned {type(answer).__name__}, not one tensor: call network.eval() first")
        for one in maps:
            if one.ndim != 4 or one.shape[0] != planes.shape[0] or one.shape[2:] != planes.shape[2:]:
                shapes = f"{tuple(planes.shape)} → {tuple(one.shape)}"
                raise UsageError(f"the network must return logits (N, K, h, w) at its input's size, got {shapes}")
        return tuple(one.float() for one in maps)

    def decide(self, logits: Tensor) -> Tensor:
        """Logits ``(N, K, ...)`` → what ``output`` asks for, ``(N, K', ...)``.

        Raises:
            UsageError: labels of more classes than ``uint8`` can number.
        """
        exclusive = self.activation == "softmax" and logits.shape[1] > 1
        if self.output == "logits":
            return logits
        if self.output == "probabilities":
            return logits.softmax(1) if exclusive else logits.sigmoid()
        if logits.shape[1] > _MAX_CLASSES:
            raise UsageError(f"labels are uint8, at most {_MAX_CLASSES} classes; the network has {logits.shape[1]}")
        # max, as argmax over planes is five times slower on a CPU; of equal logits both take the first
        return (logits.max(1, keepdim=True).indices if exclusive else logits > 0).to(torch.uint8)

    def _bar(self, total: int) -> tqdm:
        return tqdm(total=total, desc="slices", unit="slice", leave=False, disable=not self.progress)


def _stated(network: Callable[..., Tensor], name: str) -> int | None:
    """What a network says of itself, if it does."""
    stated: int | None = getattr(getattr(network, "module", network), name, None)  # module: of a DataParallel wrapper
    return stated


def _lay_out_channels_last(network: nn.Module) -> None:
    """Once: PyTorch copies weights of one channel and one pixel each time, and a runtime takes them for new ones."""
    images = [weight for weight in network.parameters() if weight.ndim == 4]
    if not all(weight.is_contiguous(memory_format=torch.channels_last) for weight in images):
        network.to(memory_format=torch.channels_last)
