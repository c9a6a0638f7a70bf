# SPDX-License-Identifier: Apache-2.0
"""MIST: a MaxViT backbone with the CAM decoder (Rahman et al., WACV 2024), with DSRA (PraNet-V2) or without."""

from typing import Union

from pranet_monai.networks.backbones import create_backbone
from pranet_monai.networks.blocks.dsra import segmentation_head
from pranet_monai.networks.decoders.mist import CAMDecoder
from pranet_monai.networks.nets.base import EncoderDecoderNet

__all__ = ["MIST"]


class MIST(EncoderDecoderNet):
    """MIST. Images of any size: the backbone sees them resized to its own, the maps come back at the input's size.

    Final logits: the sum of the four foregrounds. Dropout is off in eval (the original leaves it on, so its results
    vary from run to run).

    Args:
        in_channels: channels of the image; 1 goes through a learned 1→3 stem, 3 bypass it.
        out_channels: classes, background included.
        backbone: a name in ``BACKBONES`` or a timm model with features.
        pretrained: ImageNet weights for the backbone: False, True or a file.
        dsra: Dual-Supervised Reverse Attention head; else one 1×1 classifier per stage.
        gain: DSRA's gain, see :func:`~pranet_monai.networks.blocks.dsra.dsra_gain`.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 9,
        backbone: str = "maxxvit_rmlp_small_rw_256",
        pretrained: Union[bool, str] = False,
        dsra: bool = True,
        gain: str = "softmax",
    ) -> None:
        encoder = create_backbone(backbone, pretrained)
        decoder = CAMDecoder(encoder.channels)
        head = segmentation_head(decoder.channels, out_channels, dsra, gain=gain, kernel_sizes=[1, 1, 1, 1], norm=False)
        super().__init__(in_channels, out_channels, encoder, decoder, head, rule="sum", divisor=encoder.divisor)
