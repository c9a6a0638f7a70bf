# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from pranet_monai.networks.nets import MERIT
from torch.nn import functional as F

from tests.networks.base import NetworkContract, count_parameters, image

TINY = ["maxvit_rmlp_tiny_rw_256", "maxvit_tiny_rw_224"]


class TestMERIT(NetworkContract):
    network = MERIT
    small = {"backbones": ["test_byobnet", "test_byobnet"]}
    final = "difference"


class TestMERITWithoutDSRA(NetworkContract):
    network = MERIT
    small = {
        "backbones": ["test_byobnet", "test_byobnet"],
        "mode": "parallel",
        "aggregation": "concatenation",
        "dsra": False,
    }
    has_background = False


@pytest.mark.parametrize(
    ("mode", "dsra", "parameters"),
    [
        ("cascaded", True, 147_901_552),
        ("cascaded", False, 147_852_736),
        ("parallel", True, 147_901_455),
        ("parallel", False, 147_852_639),
    ],
)
def test_published_size(mode: str, dsra: bool, parameters: int) -> None:
    assert count_parameters(MERIT, mode=mode, dsra=dsra) == parameters


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "serial"}, "mode is 'serial', must be 'cascaded' or 'parallel'"),
        ({"aggregation": "sum"}, "aggregation is 'sum', must be 'additive' or 'concatenation'"),
        ({"backbones": ["resnet18"]}, r"backbones is \['resnet18'\], must be two names"),
        ({"backbones": ["resnet18", "resnet50"]}, "resnet18 .*resnet50 .*must have equal channels"),
    ],
)
def test_refusals(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        MERIT(**{"backbones": ["resnet18", "resnet18"], **arguments})


def test_passes_share_decoder_and_head() -> None:
    """Equal backbones in parallel: each pass gives the same maps, so that the result is twice one pass."""
    torch.manual_seed(0)
    net = MERIT(mode="parallel", backbones=["resnet18", "resnet18"]).eval()
    net.backbone2.load_state_dict(net.backbone1.state_dict())
    x = net.stem(image(1))
    with torch.no_grad():
        once, _ = net.head(net.decoder(net.backbone1(x)))
        both, _ = net.stage_maps(x)
    for single, double in zip(once, both):
        single = F.interpolate(single, size=(64, 96), mode="bilinear", align_corners=False)
        torch.testing.assert_close(double, 2 * single)


def test_first_pass_gates_the_second() -> None:
    """A closed gate leaves the second backbone a black image."""
    torch.manual_seed(0)
    net = MERIT(mode="cascaded", backbones=["resnet18", "resnet18"]).eval()
    torch.nn.init.constant_(net.gate.bias, -1e4)
    seen: list[torch.Tensor] = []
    net.backbone2.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        net(image(1))
    assert not seen[0].any()


@pytest.mark.slow
class TestMERITOnMaxViT(NetworkContract):
    network = MERIT
    small = {"backbones": TINY}
    final = "difference"
    any_size = True
