# SPDX-License-Identifier: Apache-2.0
"""CASCADE decoder (Rahman & Marculescu, "Medical Image Segmentation via Cascaded Attention Decoding", WACV 2023), the
one that MERIT shares between its two backbones.
"""

from typing import List, Sequence

from pranet_monai.networks.blocks.attention import AttentionGate
from pranet_monai.networks.blocks.convolution import conv_bn
from pranet_monai.networks.decoders.attention_decoder import AttentionDecoder, Bottom, GatedMerge
from torch import nn

__all__ = ["CascadeDecoder"]


def _conv_bn_relu(in_channels: int, out_channels: int) -> nn.Module:
    return conv_bn(in_channels, out_channels, 3, act="relu", bias=True)


class CascadeDecoder(AttentionDecoder):
    """Features of four scales, refined from coarse to fine by attention and pairs of 3×3 convolutions.

    Args:
        in_channels: channels of the backbone's features, fine → coarse.
        aggregation: how a gated skip joins the upsampled features: "additive" or "concatenation".

    Raises:
        ValueError: ``aggregation`` is neither of the two.
    """

    def __init__(self, in_channels: Sequence[int], aggregation: str = "additive") -> None:
        if aggregation not in ("additive", "concatenation"):
            raise ValueError(f"aggregation is {aggregation!r}, must be 'additive' or 'concatenation'.")
        channels = list(in_channels)[::-1]
        concatenate = aggregation == "concatenation"
        merged = channels[:1] + [2 * c if concatenate else c for c in channels[1:]]
        merges: List[nn.Module] = [Bottom(nn.Conv2d(channels[0], channels[0], 1))]
        # each gate compares in the width of the next finer stage
        for coarse, fine, inner in zip(channels, channels[1:], [*channels[2:], channels[-1] // 2]):
            up = nn.Sequential(nn.Upsample(scale_factor=2), _conv_bn_relu(coarse, fine))
            merges.append(GatedMerge(up, AttentionGate(fine, inner, kernel_size=1), concatenate))
        convolutions = [nn.Sequential(_conv_bn_relu(m, c), _conv_bn_relu(c, c)) for m, c in zip(merged, channels)]
        super().__init__(merges, merged, convolutions, channels)
