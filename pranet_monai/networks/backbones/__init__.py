# SPDX-License-Identifier: Apache-2.0
"""Backbones: one record each, one adapter to timm, all of them known to MONAI's FlexibleUNet too."""

from pranet_monai.networks.backbones.flexible_unet import FlexibleUNetEncoder, flexible_unet_name
from pranet_monai.networks.backbones.registry import BACKBONES, BackboneRecord, add_backbone
from pranet_monai.networks.backbones.timm_backbone import TimmBackbone, create_backbone, find_backbone

__all__ = [
    "BACKBONES",
    "BackboneRecord",
    "FlexibleUNetEncoder",
    "TimmBackbone",
    "add_backbone",
    "create_backbone",
    "find_backbone",
    "flexible_unet_name",
]
