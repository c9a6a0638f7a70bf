# SPDX-License-Identifier: Apache-2.0
"""Attention blocks that EMCAD (Rahman et al., CVPR 2024) and CASCADE (Rahman & Marculescu, WACV 2023) share."""

import torch
from pranet_monai.networks.blocks.convolution import conv_bn
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["AttentionGate", "ChannelAttention", "SpatialAttention"]


class ChannelAttention(nn.Module):
    """Weighs channels by an MLP on their means and maxima (EMCAD's CAB, CASCADE's CA).

    Args:
        channels: channels of the input ``(B, channels, H, W)``; the output has the same shape.
        reduction: how many times narrower the MLP's hidden layer is.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = channels // min(channels, reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=False)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to the same shape."""
        mean = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1))))
        peak = self.excite(F.relu(self.squeeze(F.adaptive_max_pool2d(x, 1))))
        return torch.sigmoid(mean + peak) * x


class SpatialAttention(nn.Module):
    """Weighs positions by a convolution on the mean and maximum over channels (EMCAD's SAB, CASCADE's SA)."""

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        summary = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return torch.sigmoid(self.conv(summary)) * x


class AttentionGate(nn.Module):
    """Lets through of a skip connection what the decoder's signal asks for.

    Grouped with a 3×3 kernel it is EMCAD's large-kernel grouped attention gate (LGAG); with a 1×1 kernel, which always
    sees all channels, CASCADE's attention gate (AG).

    Args:
        channels: channels of signal and skip, both ``(B, channels, H, W)``, and of the result.
        inter_channels: channels in which the two are compared.
        kernel_size: kernel of the two projections.
        groups: groups of the two projections; 1 is taken for ``kernel_size`` 1.
    """

    def __init__(self, channels: int, inter_channels: int, kernel_size: int = 3, groups: int = 1) -> None:
        super().__init__()
        groups = 1 if kernel_size == 1 else groups
        self.signal = conv_bn(channels, inter_channels, kernel_size, groups=groups, bias=True)
        self.skip = conv_bn(channels, inter_channels, kernel_size, groups=groups, bias=True)
        self.score = conv_bn(inter_channels, 1, bias=True)

    def forward(self, signal: Tensor, skip: Tensor) -> Tensor:
        """The skip ``(B, channels, H, W)``, weighed per position by the signal of the same shape."""
        return skip * torch.sigmoid(self.score(F.relu(self.signal(signal) + self.skip(skip))))
