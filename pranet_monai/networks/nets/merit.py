# SPDX-License-Identifier: Apache-2.0
"""MERIT: two MaxViT backbones of different windows and one CASCADE decoder (Rahman & Marculescu, "Multi-scale
Hierarchical Vision Transformer with Cascaded Attention Decoding", MIDL 2023), with DSRA (PraNet-V2) or without.
"""

from typing import List, Sequence, Tuple

import torch
from pranet_monai.networks.backbones import create_backbone
from pranet_monai.networks.blocks.dsra import resize, segmentation_head
from pranet_monai.networks.decoders.cascade import CascadeDecoder
from pranet_monai.networks.nets.base import SegmentationNet
from torch import Tensor, nn

__all__ = ["MERIT"]


class MERIT(SegmentationNet):
    """MERIT. Images of any size: each backbone sees them resized to its own, the maps come back at the input's size.

    Decoder and head are shared by two passes, whose maps are added. Final logits: the sum over stages of foreground −
    background, without DSRA of the foregrounds.

    Args:
        in_channels: channels of the image; 1 goes through a learned 1→3 stem, 3 bypass it.
        out_channels: classes, background included.
        mode: "cascaded", where the first pass gates the image of the second and adds its features, or "parallel".
        aggregation: of skips in the decoder, "additive" or "concatenation".
        pretrained: ImageNet weights for both backbones.
        dsra: Dual-Supervised Reverse Attention head; else one 1×1 classifier per stage.
        gain: DSRA's gain, see :func:`~pranet_monai.networks.blocks.dsra.dsra_gain`.
        backbones: the first and the second backbone, of equal channels.

    Raises:
        ValueError: unknown ``mode`` or ``aggregation``, or ``backbones`` that aren't two or have different channels.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 4,
        mode: str = "cascaded",
        aggregation: str = "additive",
        pretrained: bool = False,
        dsra: bool = True,
        gain: str = "softmax",
        backbones: Sequence[str] = ("maxxvit_rmlp_small_rw_256", "maxvit_rmlp_small_rw_224"),
    ) -> None:
        if mode not in ("cascaded", "parallel"):
            raise ValueError(f"mode is {mode!r}, must be 'cascaded' or 'parallel'.")
        if len(backbones) != 2:
            raise ValueError(f"backbones is {list(backbones)}, must be two names.")
        first, second = [create_backbone(name, pretrained) for name in backbones]
        if first.channels != second.channels:
            raise ValueError(
                f"backbones {first.name} {first.channels} and {second.name} {second.channels} share a decoder, "
                "must have equal channels."
            )
        super().__init__(in_channels, out_channels, "difference", divisor=max(first.divisor, second.divisor))
        self.backbone1 = first
        self.backbone2 = second
        self.decoder = CascadeDecoder(first.channels, aggregation)
        channels = self.decoder.channels
        self.head = segmentation_head(channels, out_channels, dsra, gain=gain)
        self.gate = nn.Conv2d(channels[-1], 1, 1) if mode == "cascaded" else None

    def stage_maps(self, x: Tensor) -> Tuple[List[Tensor], List[Tensor]]:
        """Four maps of each kind, the sums of both passes, at the size of ``x``."""
        features = self.backbone1(x)
        decoded = self.decoder(features)
        foregrounds, backgrounds = self.head(decoded)
        if self.gate is not None:
            attention = torch.sigmoid(self.gate(decoded[-1]))
            second = self.backbone2(x * resize(attention, x))
            second = [feature + resize(features[i], feature) for i, feature in enumerate(second)]
        else:
            second = self.backbone2(x)
        foregrounds2, backgrounds2 = self.head(self.decoder(second))
        return _add_maps(foregrounds, foregrounds2, x), _add_maps(backgrounds, backgrounds2, x)


def _add_maps(first: List[Tensor], second: List[Tensor], like: Tensor) -> List[Tensor]:
    """Stage by stage the sum of two lists of maps (B, n, h, w), each resized to the height and width of ``like``."""
    return [resize(a, like) + resize(b, like) for a, b in zip(first, second)]
