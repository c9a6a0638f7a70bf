# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from pranet_monai.networks.nets import EMCADNet

from tests.networks.base import NetworkContract, count_parameters, image


class TestEMCAD(NetworkContract):
    network = EMCADNet
    small = {"backbone": "pvt_v2_b0"}


class TestEMCADWithoutDSRA(NetworkContract):
    network = EMCADNet
    small = {"backbone": "test_efficientnet", "dsra": False, "dw_parallel": False, "add": False}
    final = "finest"
    has_background = False


class TestEMCADByItsFinestStage(NetworkContract):
    network = EMCADNet
    small = {"backbone": "test_efficientnet", "head_norm": False, "rule": "finest"}
    final = "finest"


@pytest.mark.parametrize(
    ("backbone", "dsra", "parameters"),
    [
        ("pvt_v2_b2", True, 26_855_687),
        ("pvt_v2_b2", False, 26_772_635),
        ("pvt_v2_b0", True, 3_962_503),
        ("pvt_v2_b0", False, 3_920_923),
    ],
)
def test_published_size(backbone: str, dsra: bool, parameters: int) -> None:
    assert count_parameters(EMCADNet, backbone=backbone, dsra=dsra) == parameters


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_sizes": []}, r"kernel_sizes is \[\] .*at least one branch"),
        ({"kernel_sizes": [3, 4]}, r"kernel_sizes is \[3, 4\] .*must be odd"),
        ({"lgag_kernel_size": 2}, "lgag_kernel_size 2, must be odd"),
        ({"rule": "mean"}, "rule is 'mean', must be one of sum, finest, difference"),
        ({"expansion_factor": 0}, "expansion_factor is 0, must be at least 1"),
    ],
)
def test_refusals(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        EMCADNet(backbone="resnet18", **arguments)


@pytest.mark.slow
def test_any_backbone_takes_the_decoder() -> None:
    """MaxViT sees the image resized to its windows; the maps come back at the input's size."""
    net = EMCADNet(backbone="maxvit_tiny_rw_224", out_channels=2).eval()
    with torch.no_grad():
        assert net(image(1, 50, 70)).shape == (2, 2, 50, 70)
