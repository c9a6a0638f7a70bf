# SPDX-License-Identifier: Apache-2.0
"""EMCAD's convolution blocks (Rahman et al., "EMCAD: Efficient Multi-scale Convolutional Attention Decoding", CVPR
2024, §3.1): depthwise at several kernel sizes, pointwise between channels.
"""

from math import gcd
from typing import List, Sequence

import torch
from pranet_monai.networks.blocks.convolution import conv_bn
from torch import Tensor, nn

__all__ = ["EfficientUpConvolution", "MultiScaleConvolution", "MultiScaleDepthwise"]


class MultiScaleDepthwise(nn.Module):
    """Depthwise convolutions of several kernel sizes (MSDC).

    Args:
        channels: channels of input and of each output.
        kernel_sizes: one branch each.
        act: activation name after each branch.
        parallel: all branches read the input; else each reads the sum of the input and the branches before it.
    """

    def __init__(self, channels: int, kernel_sizes: Sequence[int], act: str, parallel: bool) -> None:
        super().__init__()
        self.parallel = parallel
        self.branches = nn.ModuleList([conv_bn(channels, channels, k, act=act, groups=channels) for k in kernel_sizes])

    def forward(self, x: Tensor) -> List[Tensor]:
        """``(B, channels, H, W)`` to one map of the same shape per kernel size."""
        outputs: List[Tensor] = []
        for branch in self.branches:
            output = branch(x)
            outputs.append(output)
            if not self.parallel:
                x = x + output
        return outputs


class MultiScaleConvolution(nn.Module):
    """Inverted residual around :class:`MultiScaleDepthwise` (MSCB): widen, filter at all scales, mix, narrow, add.

    Args:
        channels: channels of input and output ``(B, channels, H, W)``.
        kernel_sizes: of the depthwise branches.
        expansion_factor: widening inside the block.
        act: activation name ("relu6" in all published settings).
        parallel: see :class:`MultiScaleDepthwise`.
        add: sum the branches; else concatenate them.
    """

    def __init__(
        self, channels: int, kernel_sizes: Sequence[int], expansion_factor: int, act: str, parallel: bool, add: bool
    ) -> None:
        super().__init__()
        wide = channels * expansion_factor
        combined = wide if add else wide * len(kernel_sizes)
        self.add = add
        self.widen = conv_bn(channels, wide, act=act)
        self.depthwise = MultiScaleDepthwise(wide, kernel_sizes, act, parallel)
        self.groups = gcd(combined, channels)
        self.narrow = conv_bn(combined, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to the same shape."""
        branches = self.depthwise(self.widen(x))
        mixed = branches[0] if self.add else torch.cat(branches, dim=1)
        if self.add:
            for branch in branches[1:]:
                mixed = mixed + branch
        return x + self.narrow(_channel_shuffle(mixed, self.groups))


def _channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleaves the groups' channels: ``nn.ChannelShuffle``, which ONNX export by tracing does not know."""
    batch, channels, height, width = x.shape
    return x.view(batch, groups, channels // groups, height, width).transpose(1, 2).reshape(x.shape)


class EfficientUpConvolution(nn.Sequential):
    """Doubles the size with one depthwise and one pointwise convolution (EUCB).

    The original shuffles channels in groups of one between the two, which changes nothing and is left out.

    Args:
        in_channels: channels of the input ``(B, in_channels, H, W)``.
        out_channels: channels of the output ``(B, out_channels, 2H, 2W)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2)
        self.depthwise = conv_bn(in_channels, in_channels, 3, act="relu", groups=in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)
