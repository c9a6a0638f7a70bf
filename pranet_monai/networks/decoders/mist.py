# SPDX-License-Identifier: Apache-2.0
"""The convolutional attention mixing (CAM) decoder of MIST.

Source: Rahman et al., "MIST: Medical Image Segmentation Transformer with Convolutional Attention Mixing (CAM)
Decoder", WACV 2024.
"""

from typing import List, Sequence

import torch
from pranet_monai.networks.blocks.transformer import ConvTransformer
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CAMDecoder"]


class CAMBottleneck(nn.Module):
    """The step below the deepest feature: (B, C, H, W) -> (B, 2C, ceil(H/2), ceil(W/2))."""

    def __init__(self, in_channels: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        out_channels = 2 * in_channels
        self.norm = LayerNorm2d(in_channels, eps=1e-5)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.transformer = ConvTransformer(out_channels, num_heads)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(self.norm(x)))))
        return self.transformer(F.max_pool2d(self.dropout(x), 2, ceil_mode=True))


class CAMStage(nn.Module):
    """One step up: (B, C, h, w) and a skip (B, S, H, W) of about twice the size -> (B, S, H, W)."""

    def __init__(self, in_channels: int, skip_channels: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = LayerNorm2d(in_channels, eps=1e-5)
        self.conv1 = nn.Conv2d(in_channels, skip_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(2 * skip_channels, skip_channels, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.transformer = ConvTransformer(skip_channels, num_heads)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(self.norm(x), size=skip.shape[2:], mode="nearest")
        x = torch.cat([skip, F.relu(self.conv1(x))], dim=1)
        return self.transformer(self.dropout(F.relu(self.conv2(x))))


class CAMDecoder(nn.Module):
    """Goes one step below the deepest feature, then climbs back with one skip and one transformer a step.

    Args:
        in_channels: channels of the backbone's features, fine -> coarse.
        num_heads: upper bounds of the attention heads, from the bottleneck to the finest step.
        dropout: dropout probability after the convolutions of each step, in training only.

    Raises:
        ValueError: when ``num_heads`` isn't one longer than ``in_channels``.
    """

    def __init__(
        self, in_channels: Sequence[int], num_heads: Sequence[int] = (16, 12, 8, 4, 2), dropout: float = 0.3
    ) -> None:
        super().__init__()
        if len(num_heads) != len(in_channels) + 1:
            raise ValueError(
                f"num_heads={list(num_heads)} needs {len(in_channels) + 1} values: "
                f"one for the bottleneck and one for each of the {len(in_channels)} features."
            )
        self.channels: List[int] = list(reversed(in_channels))  # coarse -> fine
        self.bottleneck = CAMBottleneck(self.channels[0], num_heads[0], dropout)
        below = [2 * self.channels[0], *self.channels]
        self.stages = nn.ModuleList(
            CAMStage(deep, skip, heads, dropout) for deep, skip, heads in zip(below, self.channels, num_heads[1:])
        )

    def forward(self, features: List[Tensor]) -> List[Tensor]:
        """Refines features (B, C_i, H_i, W_i), fine -> coarse, into as many of the same shapes, coarse -> fine."""
        x = self.bottleneck(features[-1])
        refined: List[Tensor] = []
        for i, stage in enumerate(self.stages):
            x = stage(x, features[-1 - i])
            refined.append(x)
        return refined
