# SPDX-License-Identifier: Apache-2.0
"""Registers every backbone with MONAI's FlexibleUNet."""

from __future__ import annotations

from typing import Any

from monai.networks.nets.flexible_unet import FLEXUNET_BACKBONE, BaseEncoder
from pranet_monai.networks.backbones.registry import BACKBONES
from pranet_monai.networks.backbones.timm_backbone import create_backbone
from pranet_monai.networks.blocks.convolution import conv_bn
from torch import Tensor, nn

__all__ = ["FlexibleUNetEncoder", "flexible_unet_name"]

_STEM_CHANNELS = 32


def flexible_unet_name(backbone: str) -> str:
    """The backbone's name in FlexibleUNet: its own, or with "timm_" before it where MONAI has one of that name."""
    return f"timm_{backbone}" if backbone in _TAKEN_BY_MONAI else backbone


class FlexibleUNetEncoder(nn.Module, BaseEncoder):
    """A backbone as FlexibleUNet's encoder.

    FlexibleUNet takes each level as half the size of the one before, the first as half the image; the backbones begin
    at a quarter. A convolution of stride 2 makes the missing level: without it the output would have half the size.

    Args:
        backbone: name in :data:`BACKBONES`.
        in_channels: channels of the image.
        pretrained: ImageNet weights for the backbone.
        spatial_dims: must be 2.

    Raises:
        ValueError: ``spatial_dims`` is not 2.
    """

    def __init__(self, backbone: str, in_channels: int = 3, pretrained: bool = False, spatial_dims: int = 2) -> None:
        super().__init__()
        if spatial_dims != 2:
            raise ValueError(f"spatial_dims is {spatial_dims}, the backbone {backbone} is a 2D network: must be 2.")
        self.stem = conv_bn(in_channels, _STEM_CHANNELS, 3, act="relu")
        self.halve = nn.MaxPool2d(2)
        self.backbone = create_backbone(backbone, pretrained, in_channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Five features of strides 2, 4, 8, 16, 32."""
        return [self.halve(self.stem(x))] + self.backbone(x)

    @classmethod
    def get_encoder_parameters(cls) -> list[dict[str, Any]]:
        """Constructor arguments per backbone; FlexibleUNet fills in the common ones."""
        common = {"spatial_dims": 2, "in_channels": 3, "pretrained": False}
        return [{**common, "backbone": name} for name in BACKBONES.names]

    @classmethod
    def num_channels_per_output(cls) -> list[tuple[int, ...]]:
        """Channels of the five features per backbone."""
        return [(_STEM_CHANNELS, *BACKBONES[name].channels) for name in BACKBONES.names]

    @classmethod
    def num_outputs(cls) -> list[int]:
        """Number of features per backbone."""
        return [1 + len(BACKBONES[name].channels) for name in BACKBONES.names]

    @classmethod
    def get_encoder_names(cls) -> list[str]:
        """Names under which FlexibleUNet finds the backbones."""
        return [flexible_unet_name(name) for name in BACKBONES.names]


_TAKEN_BY_MONAI = frozenset(FLEXUNET_BACKBONE.register_dict)
FLEXUNET_BACKBONE.register_class(FlexibleUNetEncoder)
