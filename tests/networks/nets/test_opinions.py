# SPDX-License-Identifier: Apache-2.0
"""Second opinions change nothing in the first, and are what their names say."""

from __future__ import annotations

import pytest
import torch
from pranet_monai.networks.nets import DSRAFlexibleUNet, EMCADNet, PraNetV1, PraNetV2, WithOpinions
from torch import nn

NETWORKS = {
    "dsra": (lambda: EMCADNet(1, 3, "resnet18"), 3),
    "no dsra": (lambda: EMCADNet(1, 3, "resnet18", dsra=False), 2),
    "binary": (lambda: PraNetV2(3, 1, "resnet18"), 3),
    "finest": (lambda: PraNetV1(3, 1, "resnet18"), 2),
    "flexible": (lambda: DSRAFlexibleUNet(1, 3, "resnet18"), 3),
}


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_the_first_is_the_answer_to_the_bit(name: str) -> None:
    make, count = NETWORKS[name]
    torch.manual_seed(0)
    network = make().eval()
    x = torch.randn(2, network.in_channels, 64, 96)
    opinions = WithOpinions(network)(x)
    assert len(opinions) == count
    assert torch.equal(opinions[0], network(x))
    assert all(one.shape == opinions[0].shape and not torch.equal(one, opinions[0]) for one in opinions[1:])
    stages = network.forward_stages(x)
    single = stages.foreground[-2] if network.rule == "finest" else stages.foreground[-1]
    assert torch.equal(opinions[1], single)
    if count == 3:  # summed before they are resized, which is nearly the same
        rest = -torch.stack(stages.background).sum(0)
        assert torch.corrcoef(torch.stack([rest.flatten(), opinions[2].flatten()]))[0, 1] > 0.99


def test_any_other_network_has_one_opinion() -> None:
    other = nn.Conv2d(1, 2, 1)
    x = torch.randn(1, 1, 8, 8)
    (only,) = WithOpinions(other)(x)
    assert torch.equal(only, other(x)) and WithOpinions(other).divisor is None


def test_states_what_the_network_states() -> None:
    wrapped = WithOpinions(EMCADNet(1, 3, "resnet18"))
    assert (wrapped.in_channels, wrapped.divisor) == (1, 32)
