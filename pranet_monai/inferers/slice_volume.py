# SPDX-License-Identifier: Apache-2.0
"""A 2D network over 3D volumes, slice batch by slice batch, with memory that doesn't grow with classes × slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from monai.inferers import Inferer
from monai.inferers.utils import sliding_window_inference
from monai.utils import convert_to_dst_type
from torch import Tensor, nn
from tqdm import tqdm

from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.inferers.memory import RetreatingBatches
from pranet_monai.transforms.slicing import (
    ANATOMICAL_AXES,
    THROUGH_PLANE,
    as_slices,
    in_plane_spacing,
    neighbours,
    slicing_axis,
)
from pranet_monai.transforms.zoom import resize_planes, zoom_planes

__all__ = ["SliceVolumeInferer"]

_MAX_CLASSES = 256  # labels are uint8
_MAX_SIDE = 4096  # of a resampled slice, in pixels: metres of a patient; beyond, the header's unit isn't mm
_CPU_BATCH, _GPU_BATCH = 2, 16
_MIRRORINGS = ((0,), (1,), (0, 1))
_CHOICES: dict[str, tuple[Any, ...]] = {
    "mode": ("gaussian", "constant"),
    "axis": (*ANATOMICAL_AXES, THROUGH_PLANE, 0, 1, 2),
    "resize": (None, "cubic", "bilinear"),
    "output": ("labels", "probabilities", "logits"),
    "activation": ("softmax", "sigmoid"),
    "amp": (False, True, "float16", "bfloat16"),
}


class SliceVolumeInferer(Inferer):
    """Runs a 2D network over the slices of a volume and gives labels on the volume's own grid.

    Slices go through the network in batches and each batch is turned into labels at once, so only a ``uint8`` volume
    is kept: peak memory is that volume and one batch, whatever the number of classes and slices. Four ways lead to
    the network:

    - native (default): windows of ``roi_size`` slide over each slice, exactly as in ``monai.inferers.SliceInferer``;
    - ``pixdim``: slices are first resampled to that in-plane spacing (bilinear, antialiased where it shrinks), and the
      logits come back to the native grid (bilinear) before the decision, so label borders are as fine as the image;
    - ``resize="cubic"``: the protocol of TransUNet and its successors (EMCAD, MERIT, MIST): ``scipy.ndimage.zoom`` of
      order 3 squeezes each slice into ``roi_size``, and its labels come back by order 0;
    - ``resize="bilinear"``: that of PraNet for photographs: the whole image squeezed, its logits back to its size.

    The slicing axis is anatomical and found in the ``MetaTensor``'s affine. Several frames of a cine series that come
    as channels are segmented one by one. Works as the ``inferer`` of a bundle and in MONAI Label.

    Args:
        roi_size: the network's input ``(h, w)`` in pixels; None feeds whole slices.
        sw_batch_size: windows per call of the network, and slices per batch; None for 2 on a CPU, whose caches hold no
            more (EMCAD-B2 takes 1.4 times as long per slice in batches of 8), and 16 elsewhere.
        overlap: of neighbouring windows, 0 to below 1.
        mode: weight of a window's pixels where windows overlap, ``"gaussian"`` or ``"constant"``.
        axis: ``"axial"``, ``"coronal"``, ``"sagittal"``; ``"through_plane"``, the axis along which a stack was
            acquired, whatever its anatomy; or a spatial axis 0, 1, 2 to cut along whatever it means.
        resize: None, ``"cubic"`` or ``"bilinear"``.
        pixdim: None, or the in-plane spacing in mm along the slice's rows and columns axes that the network expects.
        output: ``"labels"`` (``uint8``), ``"probabilities"`` or ``"logits"`` (``float32``, memory grows accordingly).
        activation: ``"softmax"``, labels exclude each other (argmax); ``"sigmoid"``, every channel is a mask of its own
            (threshold 0.5), as regions are. A single channel is always ``"sigmoid"``.
        in_channels: the network's; None reads ``network.in_channels``, or else takes all channels as one frame.
        adjacent_slices: n neighbours on each side of a slice that the network sees as further channels (2.5D), in the
            order of the axis; its channels are 2n + 1 times the image's. At the ends the outermost slice is repeated.
        amp: autocast: True for the device's usual type (bfloat16 on CPU, float16 on CUDA), or ``"bfloat16"`` or
            ``"float16"``; False leaves a surrounding autocast in force.
        channels_last: lay out the network's weights and images channels-last, in place: the same numbers to rounding,
            and faster convolutions (EMCAD-B2 on a CPU: a quarter less time for single slices).
        tta: mirrored passes whose logits are averaged with the plain one, each as the slice axes it mirrors (0 along
            the rows' axis, 1 the columns'): any of ``[[0], [1], [0, 1]]``.
        padding_mode: how slices smaller than ``roi_size`` are filled up, as in MONAI.
        cval: the value for ``padding_mode="constant"``.
        sw_device: where the network runs; None for the inputs' device.
        device: where the result is kept; None for the inputs' device.
        progress: show a bar over the slices on stderr.

    Raises:
        UsageError: an argument outside of what is listed here.
    """

    def __init__(
        self,
        roi_size: Sequence[int] | None = None,
        sw_batch_size: int | None = None,
        overlap: float = 0.25,
        mode: str = "gaussian",
        axis: str | int = "axial",
        resize: str | None = None,
        pixdim: Sequence[float] | None = None,
        output: str = "labels",
        activation: str = "softmax",
        in_channels: int | None = None,
        adjacent_slices: int = 0,
        amp: bool | str = False,
        channels_last: bool = False,
        tta: Sequence[Sequence[int]] = (),
        padding_mode: str = "constant",
        cval: float = 0.0,
        sw_device: torch.device | str | None = None,
        device: torch.device | str | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__()
        self.roi_size = None if roi_size is None else tuple(roi_size)
        self.sw_batch_size = sw_batch_size
        self.overlap = overlap
        self.mode = mode
        self.axis = axis
        self.resize = resize
        self.pixdim = None if pixdim is None else tuple(pixdim)
        self.output = output
        self.activation = activation
        self.in_channels = in_channels
        self.adjacent_slices = adjacent_slices
        self.amp = amp
        self.channels_last = channels_last
        self.tta = [tuple(axes) for axes in tta]
        self.padding_mode = padding_mode
        self.cval = cval
        self.sw_device = sw_device
        self.device = device
        self.progress = progress
        self._check_arguments()

    def _check_arguments(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                choices = ", ".join(map(repr, allowed))
                raise UsageError(f"{name}={getattr(self, name)!r} is unknown: use one of {choices}")
        for name in ("roi_size", "pixdim"):
            value = getattr(self, name)
            if value is not None and (len(value) != 2 or min(value) <= 0):
                raise UsageError(f"{name}={value} must be two positive numbers, or None")
        if self.resize and (self.roi_size is None or self.pixdim is not None):
            raise UsageError(f"resize={self.resize!r} needs roi_size and excludes pixdim={self.pixdim}")
        if (self.sw_batch_size is not None and self.sw_batch_size < 1) or not 0 <= self.overlap < 1:
            raise UsageError(f"sw_batch_size={self.sw_batch_size} must be 1 or more, overlap={self.overlap} in [0, 1)")
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
            network.to(memory_format=torch.channels_last)
        channels = self._channels_of_a_frame(inputs, network)
        axis = slicing_axis(inputs, self.axis)
        slices = as_slices(inputs.as_subclass(Tensor), axis, channels)
        stack_shape = slices.shape[:3]  # (B, T, S)
        seen = neighbours(self.adjacent_slices, stack_shape[2])
        grid = self._network_grid(inputs, axis, slices.shape[-2:])
        device = torch.device(self.sw_device or inputs.device)
        batch_size = self.sw_batch_size or (_CPU_BATCH if device.type == "cpu" else _GPU_BATCH)
        predict = partial(self._mirrored_logits, network=partial(network, *args, **kwargs))
        with RetreatingBatches(network, device, batch_size) as batches, self._bar(stack_shape.numel()) as bar:

            def segment(numbers: range) -> Tensor:
                item, frame, number = _unravel(numbers, stack_shape)
                planes = slices[item[:, None], frame[:, None], seen[number]].flatten(1, 2)
                planes = planes.to(batches.device, torch.float32)
                return self._segment(planes, grid, predict, batches.size)

            volume = stack = torch.empty(0)
            for numbers, result in batches.run(stack_shape.numel(), segment):
                if not volume.numel():  # only the first result tells channels and type of the output
                    volume = self._empty_volume(inputs, stack_shape[1] * result.shape[1], result.dtype)
                    stack = as_slices(volume, axis, result.shape[1])
                stack[_unravel(numbers, stack_shape)] = result.to(volume.device)
                bar.update(len(numbers))
        return convert_to_dst_type(volume, inputs, dtype=volume.dtype, device=volume.device)[0]

    def _channels_of_a_frame(self, inputs: Tensor, network: Callable[..., Tensor]) -> int:
        if inputs.ndim not in (4, 5) or 0 in inputs.shape:
            shape = tuple(inputs.shape)
            raise BadCaseError(f"inputs must be (B, C, H, W, D) or (B, C, H, W) with at least one pixel, got {shape}")
        module = getattr(network, "module", network)  # what a DataParallel wrapper holds
        channels = self.in_channels or getattr(module, "in_channels", None)
        seen = 2 * self.adjacent_slices + 1
        if channels and channels % seen:
            raise UsageError(
                f"adjacent_slices={self.adjacent_slices} makes {seen} channels of one: the network's "
                f"{channels} must be a multiple"
            )
        channels = channels // seen if channels else inputs.shape[1]
        if inputs.shape[1] % channels:
            raise BadCaseError(f"{inputs.shape[1]} input channels are no whole number of frames of {channels} channels")
        return channels

    def _network_grid(self, inputs: Tensor, axis: int, native: Sequence[int]) -> Sequence[int] | None:
        """The size ``(h, w)`` that slices are resized to, if at all; at ``pixdim``, the same field of view."""
        if self.pixdim is None:
            return self.roi_size if self.resize else None
        spacing = in_plane_spacing(inputs, axis)
        sizes = [round(length * mm / wanted) for length, mm, wanted in zip(native, spacing, self.pixdim)]
        if max(sizes) > _MAX_SIDE or max(sizes) < 1:
            field = " x ".join(f"{length * mm:.3g}" for length, mm in zip(native, spacing))
            raise BadCaseError(
                f"found slices of {tuple(native)} pixels that cover {field} mm, which are {tuple(sizes)} pixels of "
                f"{self.pixdim} mm; allowed: 1 to {_MAX_SIDE}; fix: the header's voxel sizes must be in mm"
            )
        return [max(1, size) for size in sizes]

    def _segment(
        self, planes: Tensor, grid: Sequence[int] | None, predict: Callable[[Tensor], Tensor], batch_size: int
    ) -> Tensor:
        """Slices ``(N, C, h, w)`` → output ``(N, K', h, w)``, through the grid that the network wants."""
        native = planes.shape[-2:]
        if grid is None:
            return self._finish(self._windows(planes, predict, batch_size))
        if self.resize == "cubic":
            logits = predict(zoom_planes(planes, grid, order=3))
            return zoom_planes(self._finish(logits), native, order=0)
        small = resize_planes(planes, grid)
        logits = predict(small) if self.resize else self._windows(small, predict, batch_size)
        return self._finish(resize_planes(logits, native))

    def _windows(self, planes: Tensor, predict: Callable[[Tensor], Tensor], batch_size: int) -> Tensor:
        if self.roi_size is None:
            return predict(planes)
        logits = sliding_window_inference(
            planes,
            self.roi_size,
            batch_size,
            predict,
            overlap=self.overlap,
            mode=self.mode,
            padding_mode=self.padding_mode,
            cval=self.cval,
        )
        return cast(Tensor, logits)  # it mirrors what predict returns

    def _mirrored_logits(self, planes: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
        logits = self._logits(planes, network)
        for axes in self.tta:
            dims = [axis - 2 for axis in axes]
            logits = logits + self._logits(planes.flip(dims), network).flip(dims)
        return logits / (1 + len(self.tta)) if self.tta else logits

    def _logits(self, planes: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
        with self._autocast(planes.device):
            logits = network(planes)
        if not isinstance(logits, Tensor):
            raise UsageError(f"the network returned {type(logits).__name__}, not one tensor: call network.eval() first")
        if logits.ndim != 4 or logits.shape[0] != planes.shape[0] or logits.shape[2:] != planes.shape[2:]:
            shapes = f"{tuple(planes.shape)} → {tuple(logits.shape)}"
            raise UsageError(f"the network must return logits (N, K, h, w) at its input's size, got {shapes}")
        return logits.float()

    def _finish(self, logits: Tensor) -> Tensor:
        """Logits ``(N, K, h, w)`` → what ``output`` asks for."""
        exclusive = self.activation == "softmax" and logits.shape[1] > 1
        if self.output == "logits":
            return logits
        if self.output == "probabilities":
            return logits.softmax(1) if exclusive else logits.sigmoid()
        if logits.shape[1] > _MAX_CLASSES:
            raise UsageError(f"labels are uint8, at most {_MAX_CLASSES} classes; the network has {logits.shape[1]}")
        # max, as argmax over planes is five times slower on a CPU; of equal logits both take the first
        return (logits.max(1, keepdim=True).indices if exclusive else logits > 0).to(torch.uint8)

    def _empty_volume(self, inputs: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
        # A normal tensor, as one made under inference_mode could not be changed in place by later transforms.
        with torch.inference_mode(False):
            shape = (inputs.shape[0], channels, *inputs.shape[2:])
            return torch.empty(shape, dtype=dtype, device=self.device or inputs.device)

    def _autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        if not self.amp:
            return nullcontext()  # an evaluator's own autocast stays in force
        return torch.autocast(device.type, dtype=getattr(torch, self.amp) if isinstance(self.amp, str) else None)

    def _bar(self, total: int) -> tqdm:
        return tqdm(total=total, desc="slices", unit="slice", leave=False, disable=not self.progress)


def _unravel(numbers: range, shape: torch.Size) -> tuple[Tensor, ...]:
    return torch.unravel_index(torch.arange(numbers.start, numbers.stop), shape)
