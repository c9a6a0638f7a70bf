# SPDX-License-Identifier: Apache-2.0
"""PraNet (Fan et al., MICCAI 2020) and PraNet-V2 (Hu et al., 2025): one backbone, one decoder, two kinds of reverse
attention.
"""

from typing import List, Tuple, Union

from pranet_monai.networks.backbones import create_backbone
from pranet_monai.networks.blocks.convolution import conv_bn
from pranet_monai.networks.blocks.dsra import DSRAHead, resize
from pranet_monai.networks.blocks.reverse_attention import reverse_attention
from pranet_monai.networks.decoders.pranet import PraNetDecoder
from pranet_monai.networks.nets.base import SegmentationNet
from torch import Tensor, nn

__all__ = ["PraNetV1", "PraNetV2"]


class PraNetV1(SegmentationNet):
    """PraNet: every stage looks where the coarser map found nothing, and adds what it finds to that map.

    Final logits: the finest stage's. Input sides must be multiples of 32.

    Args:
        in_channels: channels of the image; 1 goes through a learned 1→3 stem, 3 bypass it.
        out_channels: foreground maps; 1 in the original, a binary network.
        backbone: a name in ``BACKBONES`` or a timm model with features; "res2net50" and "pvt_v2_b2" were published.
        pretrained: ImageNet weights for the backbone: False, True or a file.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        backbone: str = "res2net50",
        pretrained: Union[bool, str] = False,
    ) -> None:
        encoder = create_backbone(backbone, pretrained)
        super().__init__(in_channels, out_channels, rule="finest", divisor=encoder.divisor)
        self.backbone = encoder
        self.decoder = PraNetDecoder(encoder.channels)
        global_view, coarse, middle, fine = self.decoder.channels
        self.global_head = nn.Conv2d(global_view, out_channels, 1)
        heads = [conv_bn(coarse, out_channels, 1), conv_bn(middle, out_channels, 3), conv_bn(fine, out_channels, 3)]
        self.heads = nn.ModuleList(heads)

    def stage_maps(self, x: Tensor) -> Tuple[List[Tensor], List[Tensor]]:
        """Four foreground maps of strides 8, 32, 16, 8; no background maps."""
        features = self.backbone(x)
        logits = self.global_head(self.decoder.global_view(features))
        foregrounds: List[Tensor] = [logits]
        for i, (refine, classify) in enumerate(zip(self.decoder.stages, self.heads)):
            feature = features[-1 - i]
            coarser = resize(logits, feature)
            logits = classify(refine(reverse_attention(feature, coarser))) + coarser
            foregrounds.append(logits)
        backgrounds: List[Tensor] = []
        return foregrounds, backgrounds


class PraNetV2(SegmentationNet):
    """PraNet with Dual-Supervised Reverse Attention (DSRA): supervised background maps steer the finer stages.

    Final logits: the sum of the four foregrounds. Input sides must be multiples of 32. The official networks are binary
    with ``gain="softmax"``, which for one class is a constant factor of 2; with "sigmoid" the background maps have an
    effect there.

    Args:
        in_channels: channels of the image; 1 goes through a learned 1→3 stem, 3 bypass it.
        out_channels: classes, background included; 1 for a binary problem.
        backbone: a name in ``BACKBONES`` or a timm model with features; "res2net50" and "pvt_v2_b2" were published.
        pretrained: ImageNet weights for the backbone: False, True or a file.
        gain: DSRA's gain, see :func:`~pranet_monai.networks.blocks.dsra.dsra_gain`.
        coarse_channels: channels of the coarsest stage; 256 in the original, fewer make a smaller network.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        backbone: str = "res2net50",
        pretrained: Union[bool, str] = False,
        gain: str = "softmax",
        coarse_channels: int = 256,
    ) -> None:
        encoder = create_backbone(backbone, pretrained)
        super().__init__(in_channels, out_channels, rule="sum", divisor=encoder.divisor)
        self.backbone = encoder
        self.decoder = PraNetDecoder(encoder.channels, coarse_channels=coarse_channels)
        self.global_head = DSRAHead(self.decoder.channels[:1], out_channels, norm=False)
        self.head = DSRAHead(self.decoder.channels[1:], out_channels, gain)

    def stage_maps(self, x: Tensor) -> Tuple[List[Tensor], List[Tensor]]:
        """Four foreground and four background maps of strides 8, 32, 16, 8."""
        features = self.decoder(self.backbone(x))
        seed_foreground, seed_background = self.global_head(features[:1])
        foregrounds, backgrounds = self.head(features[1:], (seed_foreground[0], seed_background[0]))
        return seed_foreground + foregrounds, seed_background + backgrounds
