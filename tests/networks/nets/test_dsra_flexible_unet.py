# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pranet_monai.networks.nets import DSRAFlexibleUNet
from tests.networks.base import NetworkContract


class TestDSRAFlexibleUNet(NetworkContract):
    network = DSRAFlexibleUNet
    small = {"backbone": "resnet18"}
    stages = 5
    scriptable = False  # MONAI's ResNet isn't


class TestDSRAFlexibleUNetWithoutDSRA(NetworkContract):
    network = DSRAFlexibleUNet
    small = {"backbone": "pvt_v2_b0", "dsra": False}
    stages = 5
    final = "finest"
    has_background = False
