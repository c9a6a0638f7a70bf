# SPDX-License-Identifier: Apache-2.0
"""Networks by name; constructor arguments are plain JSON values, so that a bundle's config can write them."""

from pranet_monai.networks.nets.base import StageLogits
from pranet_monai.networks.nets.dsra_flexible_unet import DSRAFlexibleUNet
from pranet_monai.networks.nets.emcad import EMCADNet
from pranet_monai.networks.nets.merit import MERIT
from pranet_monai.networks.nets.mist import MIST
from pranet_monai.networks.nets.opinions import WithOpinions
from pranet_monai.networks.nets.pranet import PraNetV1, PraNetV2
from pranet_monai.networks.table import ComponentTable

__all__ = [
    "MERIT",
    "MIST",
    "NETWORKS",
    "DSRAFlexibleUNet",
    "EMCADNet",
    "PraNetV1",
    "PraNetV2",
    "StageLogits",
    "WithOpinions",
]

NETWORKS = ComponentTable("networks", "segmentation networks by name")
NETWORKS.add("PraNetV1", "PraNet (MICCAI 2020): reverse attention", PraNetV1)
NETWORKS.add("PraNetV2", "PraNet-V2 (2025): dual-supervised reverse attention", PraNetV2)
NETWORKS.add("EMCADNet", "EMCAD (CVPR 2024), with or without DSRA", EMCADNet)
NETWORKS.add("MIST", "MIST (WACV 2024), with or without DSRA", MIST)
NETWORKS.add("MERIT", "MERIT (MIDL 2023), cascaded or parallel, with or without DSRA", MERIT)
NETWORKS.add("DSRAFlexibleUNet", "MONAI's FlexibleUNet with a DSRA head", DSRAFlexibleUNet)
