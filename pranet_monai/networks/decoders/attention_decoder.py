# SPDX-License-Identifier: Apache-2.0
"""The decoder skeleton of EMCAD and CASCADE: upsample, gate the skip, attend to channels and places, convolve."""

from typing import List, Sequence

import torch
from pranet_monai.networks.blocks.attention import ChannelAttention, SpatialAttention
from torch import Tensor, nn

__all__ = ["AttentionDecoder", "Bottom", "GatedMerge"]


class Bottom(nn.Module):
    """Starts a decoder from the coarsest feature: the call of :class:`GatedMerge`, with nothing coarser to merge."""

    def __init__(self, projection: nn.Module) -> None:
        super().__init__()
        self.projection = projection

    def forward(self, coarser: Tensor, skip: Tensor) -> Tensor:
        """The projected ``skip``; ``coarser`` is not looked at."""
        return self.projection(skip)


class GatedMerge(nn.Module):
    """Upsamples the coarser map and joins it with the skip connection that a gate lets through.

    Args:
        up: ``(B, C_coarser, h, w)`` → ``(B, C, 2h, 2w)``.
        gate: (upsampled, skip) → gated skip, all ``(B, C, 2h, 2w)``.
        concatenate: stack [gated skip, upsampled] to 2C channels instead of adding them.
    """

    def __init__(self, up: nn.Module, gate: nn.Module, concatenate: bool = False) -> None:
        super().__init__()
        self.up = up
        self.gate = gate
        self.concatenate = concatenate

    def forward(self, coarser: Tensor, skip: Tensor) -> Tensor:
        """``coarser`` at half the size of ``skip`` ``(B, C, H, W)``, to ``(B, C or 2C, H, W)``."""
        upsampled = self.up(coarser)
        gated = self.gate(upsampled, skip)
        if self.concatenate:
            return torch.cat([gated, upsampled], dim=1)
        return upsampled + gated


class AttentionDecoder(nn.Module):
    """Runs merge → channel attention → spatial attention (one for all stages) → convolution, coarse → fine.

    Args:
        merges: a :class:`Bottom`, then a :class:`GatedMerge` per finer stage.
        attention_channels: channels after each merge.
        convolutions: one per stage, to ``channels``.
        channels: channels of the decoder's outputs, coarse → fine.
    """

    def __init__(
        self,
        merges: Sequence[nn.Module],
        attention_channels: Sequence[int],
        convolutions: Sequence[nn.Module],
        channels: Sequence[int],
    ) -> None:
        super().__init__()
        self.channels: List[int] = list(channels)
        self.merges = nn.ModuleList(merges)
        self.channel_attentions = nn.ModuleList([ChannelAttention(c) for c in attention_channels])
        self.spatial_attention = SpatialAttention()
        self.convolutions = nn.ModuleList(convolutions)

    def forward(self, features: List[Tensor]) -> List[Tensor]:
        """Backbone features fine → coarse to refined features coarse → fine."""
        outputs: List[Tensor] = []
        x = features[-1]
        stages = zip(self.merges, self.channel_attentions, self.convolutions)
        for i, (merge, attend, convolve) in enumerate(stages):
            x = convolve(self.spatial_attention(attend(merge(x, features[len(features) - 1 - i]))))
            outputs.append(x)
        return outputs
