# SPDX-License-Identifier: Apache-2.0
"""Dual-Supervised Reverse Attention (DSRA), the idea of PraNet-V2 (Hu et al., "PraNet-V2: Dual-Supervised Reverse
Attention for Medical Image Segmentation", 2025, equations 1–3), as a head that any decoder can carry.
"""

from typing import Any, List, Optional, Sequence, Tuple

import torch
from pranet_monai.networks.blocks.convolution import conv_bn
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["DSRAHead", "DSRA_GAINS", "StageHead", "dsra_gain", "resize", "segmentation_head"]

DSRA_GAINS = ("softmax", "sigmoid", "difference", "none")


def resize(x: Tensor, like: Tensor) -> Tensor:
    """``x`` ``(B, C, h, w)`` bilinearly at the height and width of ``like``; ``x`` itself where they are equal."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def dsra_gain(foreground: Tensor, background: Tensor, gain: str) -> Tensor:
    """The factor by which a stage's foreground is raised, from the coarser stage's two maps ``(B, C, H, W)``.

    ``softmax`` runs over classes as in the paper (Eq. 2). For one class it is the constant 1: the official binary
    networks double their foreground and their background heads have no influence on it. ``sigmoid`` works per class,
    so also for one; ``difference`` is the raw margin; ``none`` is 0.

    Raises:
        ValueError: ``gain`` is none of them.
    """
    margin = foreground - background
    if gain == "softmax":
        return torch.softmax(margin, dim=1)
    if gain == "sigmoid":
        return torch.sigmoid(margin)
    if gain == "difference":
        return margin
    if gain == "none":
        return torch.zeros_like(margin)
    raise ValueError(f"gain is {gain}, must be one of softmax, sigmoid, difference, none.")


def _classifier(in_channels: int, out_channels: int, kernel_size: int, norm: bool) -> nn.Module:
    if norm:
        return conv_bn(in_channels, out_channels, kernel_size)
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)


class StageHead(nn.Module):
    """One 1×1 classifier per decoder stage, without background maps: what a network has when DSRA is off.

    Args:
        in_channels: channels of the decoder's features, coarse → fine.
        out_channels: number of classes.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.foreground = nn.ModuleList([_classifier(c, out_channels, 1, norm=False) for c in in_channels])

    def forward(self, features: List[Tensor]) -> Tuple[List[Tensor], List[Tensor]]:
        """Features coarse → fine to (foreground logits, no background logits), each at its feature's size."""
        foregrounds: List[Tensor] = []
        for i, classify in enumerate(self.foreground):
            foregrounds.append(classify(features[i]))
        backgrounds: List[Tensor] = []
        return foregrounds, backgrounds


class DSRAHead(nn.Module):
    """Foreground and background logits per stage, each stage's foreground raised by the coarser stage's margin.

    With P the plain logits of stage i and R the refined ones of the next coarser stage, resized bilinearly::

        R_f[i] = P_f[i] + P_f[i] * gain(R_f[i+1] - R_b[i+1])        R_b[i] = P_b[i]

    The head reads features only, and nothing flows back into the decoder: it plugs into any decoder that gives a list
    of feature maps.

    Args:
        in_channels: channels of the features, coarse → fine.
        out_channels: number of classes, the background class included (1 for binary problems).
        gain: "softmax" (the paper), "sigmoid", "difference" or "none", see :func:`dsra_gain`.
        kernel_sizes: kernel of each stage's classifiers; None for 1 at the coarsest stage and 3 after.
        norm: batch norm after each classifier (EMCAD, MERIT, PraNet-V2) or a bias instead (MIST).

    Raises:
        ValueError: ``gain`` is unknown, or ``kernel_sizes`` and ``in_channels`` differ in length.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        gain: str = "softmax",
        kernel_sizes: Optional[Sequence[int]] = None,
        norm: bool = True,
    ) -> None:
        super().__init__()
        if gain not in DSRA_GAINS:
            raise ValueError(f"gain is {gain!r}, must be one of {', '.join(DSRA_GAINS)}.")
        kernels = list(kernel_sizes) if kernel_sizes is not None else [1] + [3] * (len(in_channels) - 1)
        if len(kernels) != len(in_channels):
            raise ValueError(f"kernel_sizes has {len(kernels)} entries, must have one per stage ({len(in_channels)}).")
        self.gain = gain
        pairs = list(zip(in_channels, kernels))
        self.foreground = nn.ModuleList([_classifier(c, out_channels, k, norm) for c, k in pairs])
        self.background = nn.ModuleList([_classifier(c, out_channels, k, norm) for c, k in pairs])

    def forward(
        self, features: List[Tensor], seed: Optional[Tuple[Tensor, Tensor]] = None
    ) -> Tuple[List[Tensor], List[Tensor]]:
        """Refine stage by stage.

        Args:
            features: decoder features ``(B, in_channels[i], h_i, w_i)``, coarse → fine.
            seed: (foreground, background) logits of an earlier stage that gives the first gain (PraNet's partial
                decoder); without it the coarsest stage has no gain.

        Returns:
            Foreground and background logits ``(B, out_channels, h_i, w_i)``, coarse → fine, the seed not included.
        """
        foregrounds: List[Tensor] = []
        backgrounds: List[Tensor] = []
        previous = seed
        for i, (to_foreground, to_background) in enumerate(zip(self.foreground, self.background)):
            foreground = to_foreground(features[i])
            background = to_background(features[i])
            if previous is not None and self.gain != "none":
                coarser, rest = resize(previous[0], foreground), resize(previous[1], foreground)
                foreground = foreground + foreground * dsra_gain(coarser, rest, self.gain)
            previous = (foreground, background)
            foregrounds.append(foreground)
            backgrounds.append(background)
        return foregrounds, backgrounds


def segmentation_head(in_channels: Sequence[int], out_channels: int, dsra: bool, **options: Any) -> nn.Module:
    """A :class:`DSRAHead` with these options, or without DSRA a :class:`StageHead`, which has none."""
    return DSRAHead(in_channels, out_channels, **options) if dsra else StageHead(in_channels, out_channels)
