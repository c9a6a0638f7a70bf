# SPDX-License-Identifier: Apache-2.0
"""Convolutional attention and wide focus: the transformer of MIST's decoder.

Source: Rahman et al., "MIST: Medical Image Segmentation Transformer with Convolutional Attention Mixing (CAM)
Decoder", WACV 2024.
"""

import math

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ConvAttention", "ConvTransformer", "WideFocus"]


class ConvAttention(nn.Module):
    """Multi-head self-attention over all positions, whose queries, keys and values are depthwise 3x3 convolutions.

    Args:
        channels: channels in and out.
        num_heads: upper bound of the number of heads; the largest divisor it shares with ``channels`` is used.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.query = self._projection(channels)
        self.key = self._projection(channels)
        self.value = self._projection(channels)
        self.attention = nn.MultiheadAttention(channels, math.gcd(num_heads, channels), batch_first=True)

    @staticmethod
    def _projection(channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.ReLU(), LayerNorm2d(channels, eps=1e-5)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Mixes (B, C, H, W) over its H * W positions; the shape stays."""
        query = self.query(x).flatten(2).transpose(1, 2)  # (B, H * W, C)
        key = self.key(x).flatten(2).transpose(1, 2)
        value = self.value(x).flatten(2).transpose(1, 2)
        mixed, _ = self.attention(query, key, value, need_weights=False)
        return mixed.transpose(1, 2).reshape(x.shape)


class WideFocus(nn.Module):
    """Three 3x3 convolutions of dilation 1, 2, 3 side by side, summed and fused by a fourth.

    Args:
        channels: channels in and out.
        dropout: dropout probability after each convolution, in training only.
    """

    def __init__(self, channels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation) for dilation in (1, 2, 3)
        )
        self.fuse = nn.Conv2d(channels, channels, 3, padding=1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the same shape."""
        total = torch.zeros_like(x)
        for branch in self.branches:
            total = total + self.dropout(F.gelu(branch(x)))
        return self.dropout(F.gelu(self.fuse(total)))


class ConvTransformer(nn.Module):
    """Convolutional attention, then wide focus, each with a residual connection.

    Args:
        channels: channels in and out.
        num_heads: see :class:`ConvAttention`.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.attention = ConvAttention(channels, num_heads)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = LayerNorm2d(channels, eps=1e-5)
        self.wide_focus = WideFocus(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the same shape."""
        x = x + self.conv(self.attention(x))
        return x + self.wide_focus(self.norm(x))
