# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from pranet_monai.networks.nets import PraNetV1, PraNetV2

from tests.networks.base import NetworkContract, count_parameters, image


class TestPraNetV1(NetworkContract):
    network = PraNetV1
    small = {"backbone": "test_efficientnet"}
    final = "finest"
    has_background = False


class TestPraNetV2(NetworkContract):
    network = PraNetV2
    small = {"backbone": "test_efficientnet"}


@pytest.mark.parametrize(
    ("network", "backbone", "parameters"),
    [
        (PraNetV1, "res2net50", 30_498_319),
        (PraNetV1, "pvt_v2_b2", 30_796_135),
        (PraNetV2, "res2net50", 30_499_830),
        (PraNetV2, "pvt_v2_b2", 30_797_646),
    ],
)
def test_published_size(network: type, backbone: str, parameters: int) -> None:
    assert count_parameters(network, backbone=backbone) == parameters


def test_fewer_coarse_channels_make_a_smaller_network_of_the_same_output() -> None:
    full, compact = ({"backbone": "resnet18", "coarse_channels": channels} for channels in (256, 128))
    saved = count_parameters(PraNetV2, **full) - count_parameters(PraNetV2, **compact)
    assert count_parameters(PraNetV2, backbone="resnet18") == count_parameters(PraNetV2, **full)
    assert saved == coarse_stage(256) - coarse_stage(128)
    assert PraNetV2(in_channels=3, **compact).eval()(image(3)).shape == (2, 1, 64, 96)


def coarse_stage(channels: int) -> int:
    """1x1 from ResNet-18's 512 channels, three 5x5, a batch norm after each, a 1x1 to the fore- and background map."""
    return 512 * channels + 3 * 25 * channels**2 + 4 * 2 * channels + 2 * channels


def background_influence(gain: str) -> float:
    """Gradient of the binary network's final map with respect to its background classifiers."""
    torch.manual_seed(0)
    net = PraNetV2(in_channels=1, backbone="resnet18", gain=gain).eval()
    net(image(1)).sum().backward()
    classifiers = [*net.global_head.background, *net.head.background[:-1]]
    return sum(float(p.grad.abs().sum()) for c in classifiers for p in c.parameters() if p.grad is not None)


def test_background_has_a_say_in_the_binary_network_with_sigmoid_only() -> None:
    assert background_influence("softmax") == pytest.approx(0, abs=1e-6)
    assert background_influence("none") == 0
    assert background_influence("sigmoid") > 1e-3


@pytest.mark.parametrize(("found", "left"), [(50.0, 0.0), (-50.0, 1.0)])
def test_reverse_attention_looks_where_nothing_was_found(found: float, left: float) -> None:
    """The first stage sees nothing of its feature once the global map has found everything, and all of it before."""
    torch.manual_seed(0)
    net = PraNetV1(in_channels=3, backbone="resnet18").eval()
    torch.nn.init.constant_(net.global_head.bias, found)
    seen: list[torch.Tensor] = []
    net.decoder.stages[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        net(image(3))
        torch.testing.assert_close(seen[0], left * net.backbone(image(3))[-1])
