# SPDX-License-Identifier: Apache-2.0
"""EMCAD decoder (Rahman et al., "EMCAD: Efficient Multi-scale Convolutional Attention Decoding for Medical Image
Segmentation", CVPR 2024; original code github.com/SLDGroup/EMCAD).
"""

from typing import Sequence

from pranet_monai.networks.blocks.attention import AttentionGate
from pranet_monai.networks.blocks.multi_scale import EfficientUpConvolution, MultiScaleConvolution
from pranet_monai.networks.decoders.attention_decoder import AttentionDecoder, Bottom, GatedMerge
from torch import nn

__all__ = ["EMCADDecoder"]


class EMCADDecoder(AttentionDecoder):
    """Features of four scales, refined from coarse to fine by multi-scale depthwise convolutions and attention.

    Args:
        in_channels: channels of the backbone's features, fine → coarse.
        kernel_sizes: of the depthwise branches.
        expansion_factor: widening inside the multi-scale blocks.
        dw_parallel: depthwise branches side by side, else one after the other.
        add: sum the branches, else concatenate them.
        lgag_kernel_size: kernel of the attention gates.
        act: activation in the multi-scale blocks, a name of MONAI's activation factory.

    Raises:
        ValueError: a kernel size is even, there is none, or ``expansion_factor`` is below 1.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        kernel_sizes: Sequence[int] = (1, 3, 5),
        expansion_factor: int = 2,
        dw_parallel: bool = True,
        add: bool = True,
        lgag_kernel_size: int = 3,
        act: str = "relu6",
    ) -> None:
        if not kernel_sizes or any(size < 1 or size % 2 == 0 for size in (*kernel_sizes, lgag_kernel_size)):
            raise ValueError(
                f"kernel_sizes is {list(kernel_sizes)} and lgag_kernel_size {lgag_kernel_size}, "
                "must be odd numbers, at least one branch."
            )
        if expansion_factor < 1:
            raise ValueError(f"expansion_factor is {expansion_factor}, must be at least 1.")
        channels = list(in_channels)[::-1]
        merges: list[nn.Module] = [Bottom(nn.Identity())]
        for coarse, fine in zip(channels[:-1], channels[1:]):
            gate = AttentionGate(fine, fine // 2, lgag_kernel_size, groups=fine // 2)
            merges.append(GatedMerge(EfficientUpConvolution(coarse, fine), gate))
        convolutions = [
            MultiScaleConvolution(c, kernel_sizes, expansion_factor, act, dw_parallel, add) for c in channels
        ]
        super().__init__(merges, channels, convolutions, channels)
