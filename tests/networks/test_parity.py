# SPDX-License-Identifier: Apache-2.0
"""Every network against the recorded outputs of the original, stage by stage and in the final map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pranet_monai.networks.backbones import create_backbone
from pranet_monai.networks.blocks.dsra import StageHead
from pranet_monai.networks.checkpoints import load_official_checkpoint
from pranet_monai.networks.key_maps import BACKBONE, STAGE_HEAD_UP, STEM, prefixed
from pranet_monai.networks.nets import MERIT, MIST, EMCADNet, PraNetV1, PraNetV2
from pranet_monai.networks.nets.base import EncoderDecoderNet
from torch import nn

from tests.networks.cases import TOLERANCE, assert_recorded, inputs, load_case, load_module, weights

slow = pytest.mark.slow

NETWORKS = [
    ("pranet_v1_res2net50_352", PraNetV1, {"backbone": "res2net50"}),
    ("pranet_v1_pvtv2b2_352", PraNetV1, {"backbone": "pvt_v2_b2"}),
    ("pranet_v2_res2net50_c1_352", PraNetV2, {"backbone": "res2net50"}),
    ("pranet_v2_res2net50_c3_256", PraNetV2, {"backbone": "res2net50", "out_channels": 3}),
    ("pranet_v2_pvtv2b2_c1_352", PraNetV2, {"backbone": "pvt_v2_b2"}),
    ("pranet_v2_pvtv2b2_c1_256_ch1", PraNetV2, {"backbone": "pvt_v2_b2", "in_channels": 1}),
    ("pranet_v2_pvtv2b2_c1_nosoftmax_256", PraNetV2, {"backbone": "pvt_v2_b2", "gain": "difference"}),
    ("emcad_pvtv2b0_dual_c4_ch1_224", EMCADNet, {"backbone": "pvt_v2_b0", "out_channels": 4}),
    ("emcad_pvtv2b0_dual_c9_ch1_224", EMCADNet, {"backbone": "pvt_v2_b0"}),
    ("emcad_pvtv2b0_single_c9_ch1_224", EMCADNet, {"backbone": "pvt_v2_b0", "dsra": False}),
    ("emcad_pvtv2b0_single_c9_ch3_224", EMCADNet, {"backbone": "pvt_v2_b0", "dsra": False, "in_channels": 3}),
    ("emcad_pvtv2b2_dual_c9_ch1_224", EMCADNet, {}),
    ("emcad_pvtv2b2_dual_c9_ch3_224", EMCADNet, {"in_channels": 3}),
    ("emcad_pvtv2b2_single_c4_ch1_224", EMCADNet, {"dsra": False, "out_channels": 4}),
    ("emcad_pvtv2b2_single_c9_ch1_224", EMCADNet, {"dsra": False}),
    ("emcad_resnet18_dual_c4_224", EMCADNet, {"backbone": "resnet18", "out_channels": 4}),
    pytest.param("mist_dual_c4_ch1_256", MIST, {"out_channels": 4}, marks=slow),
    pytest.param("mist_single_c9_ch1_256", MIST, {"dsra": False}, marks=slow),
    ("merit_cascaded_dual_c4_ch1_256", MERIT, {}),
    pytest.param("merit_cascaded_single_c4_ch1_256", MERIT, {"dsra": False}, marks=slow),
    pytest.param("merit_parallel_dual_c4_ch1_256", MERIT, {"mode": "parallel"}, marks=slow),
    pytest.param("merit_parallel_single_c4_ch1_256", MERIT, {"mode": "parallel", "dsra": False}, marks=slow),
]


def coarse_to_fine(case: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The recorded foregrounds and backgrounds in our order; PraNet-V2 returns the finest first."""
    step = -1 if case["upstream_class"] in ("PraNet_V2", "PVT_PraNet_V2") else 1
    foregrounds = [name for name in case["outputs"] if not name.endswith("_bg")][::step]
    backgrounds = [name for name in case["outputs"] if name.endswith("_bg")][::step]
    return foregrounds, backgrounds


def original_rule(case: dict[str, Any], foregrounds: list[str], backgrounds: list[str]) -> np.ndarray:
    """The final map, subsampled as recorded, by the test script of the original."""
    recorded, name = case["out"], case["upstream_class"]
    if name in ("PraNet", "PVT_PraNet") or (name == "EMCADNet" and not backgrounds):
        return recorded[foregrounds[-1]]
    total = sum(recorded[f] for f in foregrounds)
    return total - sum(recorded[b] for b in backgrounds) if "MERIT" in name else total


@pytest.mark.parametrize(("name", "network", "arguments"), NETWORKS)
def test_network(name: str, network: type[nn.Module], arguments: dict[str, Any]) -> None:
    case = load_case(name)
    net = network(**arguments).eval()
    load_official_checkpoint(net, weights(case))
    (x,) = inputs(case)
    with torch.no_grad():
        stages, final = net.forward_stages(x), net(x).numpy()
    foregrounds, backgrounds = coarse_to_fine(case)
    assert (len(stages.foreground), len(stages.background)) == (len(foregrounds), len(backgrounds))
    assert_recorded(case, dict(zip([*foregrounds, *backgrounds], [*stages.foreground, *stages.background])))
    expected = original_rule(case, foregrounds, backgrounds)
    stride = case["stride"][foregrounds[0]]
    assert np.abs(final[..., ::stride, ::stride] - expected).max() <= TOLERANCE * expected.std()


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("backbone_res2net50_224", "res2net50"),
        ("backbone_pvtv2b0_224", "pvt_v2_b0"),
        ("backbone_maxvit_rmlp_small_rw_224", "maxvit_rmlp_small_rw_224"),
        ("backbone_maxxvit_rmlp_small_rw_256", "maxxvit_rmlp_small_rw_256"),
    ],
)
def test_backbone(name: str, backbone: str) -> None:
    case = load_case(name)
    net = create_backbone(backbone).eval()
    load_official_checkpoint(net, weights(case))
    with torch.no_grad():
        features = net(*inputs(case))
    assert [feature.shape[1] for feature in features] == net.channels
    assert_recorded(case, {f"s{stride}": feature for stride, feature in zip((4, 8, 16, 32), features)})


class Reversed(nn.Module):
    """A decoder that decodes nothing: the features, coarse → fine."""

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return features[::-1]


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("maxvit4out_small224_c4_ch1", "maxvit_rmlp_small_rw_224"),
        ("maxvit4out_small256_c4_ch1", "maxxvit_rmlp_small_rw_256"),
    ],
)
def test_backbone_with_heads_alone(name: str, backbone: str) -> None:
    case = load_case(name)
    encoder = create_backbone(backbone)
    net = EncoderDecoderNet(1, 4, encoder, Reversed(), StageHead(encoder.channels[::-1], 4))
    load_module(net, case, (*STEM, *prefixed(BACKBONE, "backbone.", "backbone.body."), *STAGE_HEAD_UP))
    with torch.no_grad():
        stages = net.forward_stages(*inputs(case))
    assert_recorded(case, dict(zip(case["outputs"], stages.foreground)))
