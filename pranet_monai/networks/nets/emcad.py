# SPDX-License-Identifier: Apache-2.0
"""EMCADNet: a backbone with the EMCAD decoder (Rahman et al., CVPR 2024), with DSRA (PraNet-V2) or without."""

from typing import Optional, Sequence, Union

from pranet_monai.networks.backbones import create_backbone
from pranet_monai.networks.blocks.dsra import segmentation_head
from pranet_monai.networks.decoders.emcad import EMCADDecoder
from pranet_monai.networks.nets.base import EncoderDecoderNet, rule_or_published

__all__ = ["EMCADNet"]


class EMCADNet(EncoderDecoderNet):
    """EMCAD on any backbone. Input sides must be multiples of 32, except for backbones that resize inside (MaxViT).

    Final logits: with DSRA the sum of the four foregrounds, without it the finest stage alone (the original's rules).
    Published settings are the defaults.

    Args:
        in_channels: channels of the image; 1 goes through a learned 1→3 stem, 3 bypass it.
        out_channels: classes, background included.
        backbone: a name in ``BACKBONES`` or a timm model with features.
        pretrained: ImageNet weights for the backbone: False, True or a file.
        dsra: Dual-Supervised Reverse Attention head; else one 1×1 classifier per stage.
        kernel_sizes: of the decoder's depthwise branches.
        expansion_factor: widening inside the decoder's blocks.
        dw_parallel: depthwise branches side by side, else in series.
        add: sum the branches, else concatenate.
        lgag_kernel_size: kernel of the attention gates.
        act: activation in the decoder's multi-scale blocks.
        gain: DSRA's gain, see :func:`~pranet_monai.networks.blocks.dsra.dsra_gain`.
        head_norm: batch norm after DSRA's classifiers, as published; False gives them a bias instead, as MIST's have
            and those of a network without DSRA.
        rule: how the final logits are made of the stages', see :class:`SegmentationNet`; None for the original's rule.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 9,
        backbone: str = "pvt_v2_b2",
        pretrained: Union[bool, str] = False,
        dsra: bool = True,
        kernel_sizes: Sequence[int] = (1, 3, 5),
        expansion_factor: int = 2,
        dw_parallel: bool = True,
        add: bool = True,
        lgag_kernel_size: int = 3,
        act: str = "relu6",
        gain: str = "softmax",
        head_norm: bool = True,
        rule: Optional[str] = None,
    ) -> None:
        encoder = create_backbone(backbone, pretrained)
        decoder = EMCADDecoder(
            encoder.channels, kernel_sizes, expansion_factor, dw_parallel, add, lgag_kernel_size, act
        )
        head = segmentation_head(decoder.channels, out_channels, dsra, gain=gain, norm=head_norm)
        rule = rule_or_published(rule, dsra)
        super().__init__(in_channels, out_channels, encoder, decoder, head, rule, encoder.divisor)
