# SPDX-License-Identifier: Apache-2.0
"""Parallel partial decoder: three features multiplied and stacked into one global view at the finest one's size.

Source: Fan et al., "PraNet: Parallel Reverse Attention Network for Polyp Segmentation", MICCAI 2020, after
Wu et al., "Cascaded Partial Decoder for Fast and Accurate Salient Object Detection", CVPR 2019.
"""

import torch
from pranet_monai.networks.blocks.convolution import conv_bn
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PartialDecoder"]


def _double(x: Tensor) -> Tensor:
    """Doubles H and W, corners aligned (nowhere else in these networks are they)."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)


class PartialDecoder(nn.Module):
    """Joins three features of ``channels`` channels and strides s, 2s, 4s into one of ``3 * channels`` at stride s.

    Args:
        channels: channels of each of the three features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = 3 * channels
        # into the products
        self.coarse_to_middle = conv_bn(channels, channels, 3)
        self.coarse_to_fine = conv_bn(channels, channels, 3)
        self.middle_to_fine = conv_bn(channels, channels, 3)
        # into the stacks
        self.coarse_beside_middle = conv_bn(channels, channels, 3)
        self.middle_beside_fine = conv_bn(2 * channels, 2 * channels, 3)
        self.fuse_middle = conv_bn(2 * channels, 2 * channels, 3)
        self.fuse_fine = conv_bn(3 * channels, 3 * channels, 3)
        self.refine = conv_bn(3 * channels, 3 * channels, 3)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        """Joins (B, C, 4H, 4W), (B, C, 2H, 2W) and (B, C, H, W) into (B, 3C, 4H, 4W)."""
        coarse2 = _double(coarse)
        fine_product = self.coarse_to_fine(_double(coarse2)) * self.middle_to_fine(_double(middle)) * fine
        middle_product = self.coarse_to_middle(coarse2) * middle
        stack = self.fuse_middle(torch.cat([middle_product, self.coarse_beside_middle(coarse2)], dim=1))
        stack = self.fuse_fine(torch.cat([fine_product, self.middle_beside_fine(_double(stack))], dim=1))
        return self.refine(stack)
