# SPDX-License-Identifier: Apache-2.0
"""Receptive field block: one feature seen at several scales.

Source: Liu et al., "Receptive Field Block Net for Accurate and Fast Object Detection", ECCV 2018, in the form of
Fan et al., "PraNet: Parallel Reverse Attention Network for Polyp Segmentation", MICCAI 2020.
"""

import torch
from pranet_monai.networks.blocks.convolution import conv_bn
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ReceptiveFieldBlock"]


class ReceptiveFieldBlock(nn.Module):
    """A 1x1 branch and three branches with kernels and dilations 3, 5 and 7, joined around a 1x1 shortcut.

    Only the output passes an activation (ReLU).

    Args:
        in_channels: channels of the feature.
        out_channels: channels of the result.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([nn.Sequential(conv_bn(in_channels, out_channels, 1))])
        for size in (3, 5, 7):
            self.branches.append(
                nn.Sequential(
                    conv_bn(in_channels, out_channels, 1),
                    conv_bn(out_channels, out_channels, (1, size)),
                    conv_bn(out_channels, out_channels, (size, 1)),
                    conv_bn(out_channels, out_channels, 3, dilation=size),
                )
            )
        self.fuse = conv_bn(len(self.branches) * out_channels, out_channels, 3)
        self.shortcut = conv_bn(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, in_channels, H, W) to (B, out_channels, H, W)."""
        scales = [branch(x) for branch in self.branches]
        return F.relu(self.fuse(torch.cat(scales, dim=1)) + self.shortcut(x))
