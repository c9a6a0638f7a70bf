# SPDX-License-Identifier: Apache-2.0
"""Networks by name; constructor arguments are plain JSON values, so that a bundle's config can write them."""

from monai.utils.component_store import ComponentStore

from pranet_monai.networks.nets.base import StageLogits
from pranet_monai.networks.nets.dsra_flexible_unet import DSRAFlexibleUNet
from pranet_monai.networks.nets.emcad import EMCADNet

__all__ = ["NETWORKS", "DSRAFlexibleUNet", "EMCADNet", "StageLogits"]

NETWORKS = ComponentStore("networks", "segmentation networks by name")
NETWORKS.add("EMCADNet", "EMCAD (CVPR 2024), with or without DSRA", EMCADNet)
NETWORKS.add("DSRAFlexibleUNet", "MONAI's FlexibleUNet with a DSRA head", DSRAFlexibleUNet)
