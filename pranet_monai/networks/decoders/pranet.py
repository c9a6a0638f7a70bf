# SPDX-License-Identifier: Apache-2.0
"""The decoder of PraNet: a global view by a partial decoder, then one refinement stack per feature.

Source: Fan et al., "PraNet: Parallel Reverse Attention Network for Polyp Segmentation", MICCAI 2020, and
Hu et al., "PraNet-V2: Dual-Supervised Reverse Attention for Medical Image Segmentation", 2025.
"""

from typing import List, Sequence

from pranet_monai.networks.blocks.convolution import conv_bn
from pranet_monai.networks.blocks.partial_decoder import PartialDecoder
from pranet_monai.networks.blocks.rfb import ReceptiveFieldBlock
from torch import Tensor, nn

__all__ = ["PraNetDecoder"]


def _refinement(in_channels: int, channels: int, kernel_size: int, depth: int) -> nn.Sequential:
    """1x1 to ``channels`` without activation, then ``depth`` convolutions with ReLU."""
    deeper = [conv_bn(channels, channels, kernel_size, act="relu") for _ in range(depth)]
    return nn.Sequential(conv_bn(in_channels, channels, 1), *deeper)


class PraNetDecoder(nn.Module):
    """Turns the three coarsest features into a global view and three refined features.

    Args:
        in_channels: channels of the backbone's features, fine -> coarse, of which the last three are used.
        channels: channels of each feature inside the partial decoder.
        coarse_channels: channels of the coarsest refined feature; the original's 256 are a third of a small network.
    """

    def __init__(self, in_channels: Sequence[int], channels: int = 32, coarse_channels: int = 256) -> None:
        super().__init__()
        fine, middle, coarse = in_channels[-3:]
        self.rfb = nn.ModuleList(ReceptiveFieldBlock(c, channels) for c in (fine, middle, coarse))
        self.partial_decoder = PartialDecoder(channels)
        self.stages = nn.ModuleList(
            [
                _refinement(coarse, coarse_channels, 5, depth=3),
                _refinement(middle, 64, 3, depth=2),
                _refinement(fine, 64, 3, depth=2),
            ]
        )
        self.channels: List[int] = [self.partial_decoder.out_channels, coarse_channels, 64, 64]

    def global_view(self, features: List[Tensor]) -> Tensor:
        """Joins the three coarsest features, fine -> coarse, into (B, 3 * channels, H/8, W/8)."""
        scales: List[Tensor] = []
        for i, block in enumerate(self.rfb):
            scales.append(block(features[i - 3]))
        return self.partial_decoder(scales[0], scales[1], scales[2])

    def forward(self, features: List[Tensor]) -> List[Tensor]:
        """Refines features (B, C_i, H_i, W_i), fine -> coarse.

        Returns:
            The global view at H/8 first, then (B, coarse_channels, H/32, W/32), (B, 64, H/16, W/16), (B, 64, H/8, W/8).
        """
        refined = [self.global_view(features)]
        for i, stage in enumerate(self.stages):
            refined.append(stage(features[-1 - i]))
        return refined
