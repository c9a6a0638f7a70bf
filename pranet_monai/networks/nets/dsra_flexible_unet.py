# SPDX-License-Identifier: Apache-2.0
"""DSRA on MONAI's own FlexibleUNet: the head plugs into a decoder that wasn't made for it."""

from typing import List, Optional, Sequence, Tuple

from monai.networks.nets import FlexibleUNet
from pranet_monai.networks.blocks.dsra import segmentation_head
from pranet_monai.networks.nets.base import SegmentationNet, rule_or_published
from torch import Tensor, nn

__all__ = ["DSRAFlexibleUNet"]


class DSRAFlexibleUNet(SegmentationNet):
    """MONAI's FlexibleUNet (2D) with a DSRA head on each level of its decoder.

    ``torch.jit.script`` takes it with this package's backbones; with MONAI's own ResNets ``torch.jit.trace`` does.

    Args:
        in_channels: channels of the image; all go to the encoder as they are.
        out_channels: classes, background included.
        backbone: a name that FlexibleUNet knows: MONAI's own or one of this package's backbones.
        pretrained: the encoder's ImageNet weights, where it has them.
        decoder_channels: channels of the decoder's levels, coarse → fine.
        dsra: DSRA head; else one 1×1 classifier per level, the finest of which gives the result.
        gain: DSRA's gain.
        head_norm: batch norm after DSRA's classifiers; False gives them a bias instead.
        rule: how the final logits are made of the levels', see :class:`SegmentationNet`; None for "sum" with DSRA,
            "finest" without.

    Raises:
        ValueError: FlexibleUNet doesn't know the backbone.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        backbone: str = "resnet18",
        pretrained: bool = False,
        decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
        dsra: bool = True,
        gain: str = "softmax",
        head_norm: bool = True,
        rule: Optional[str] = None,
    ) -> None:
        super().__init__(in_channels, out_channels, rule_or_published(rule, dsra))
        unet = FlexibleUNet(in_channels, out_channels, backbone, pretrained, tuple(decoder_channels))
        self.stem = nn.Identity()
        self.encoder = unet.encoder
        self.blocks = unet.decoder.blocks
        self.skips: int = unet.skip_connect
        channels = list(decoder_channels[: len(self.blocks)])
        self.head = segmentation_head(channels, out_channels, dsra, gain=gain, norm=head_norm)

    def stage_maps(self, x: Tensor) -> Tuple[List[Tensor], List[Tensor]]:
        """Logits per level of the decoder."""
        features = self.encoder(x)
        decoded: List[Tensor] = []
        coarser = features[-1]
        for i, block in enumerate(self.blocks):
            coarser = block(coarser, features[-2 - i] if i < self.skips else None)
            decoded.append(coarser)
        return self.head(decoded)
