# SPDX-License-Identifier: Apache-2.0
"""EMCAD's multi-scale block in all its switches, written out a second time with plain torch functions."""

from __future__ import annotations

from math import gcd

import pytest
import torch
from pranet_monai.networks.blocks.multi_scale import MultiScaleConvolution
from torch import Tensor, nn
from torch.nn import functional as F


def conv_bn(weights: dict[str, Tensor], name: str, x: Tensor, padding: int = 0, groups: int = 1) -> Tensor:
    x = F.conv2d(x, weights[f"{name}.conv.weight"], padding=padding, groups=groups)
    norm = [weights[f"{name}.adn.N.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return F.batch_norm(x, *norm, eps=1e-5)


@pytest.mark.parametrize("kernel_sizes", [[3], [1, 3, 5], [5, 1]])
@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize(("channels", "factor"), [(12, 2), (10, 3)])
def test_switches(kernel_sizes: list[int], parallel: bool, add: bool, channels: int, factor: int) -> None:
    torch.manual_seed(0)
    block = MultiScaleConvolution(channels, kernel_sizes, factor, "relu6", parallel, add).eval()
    for buffer in block.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 1.5)
    weights = block.state_dict()
    x = torch.randn(2, channels, 9, 7)

    branch_input = F.relu6(conv_bn(weights, "widen", x))
    branches = []
    for i, size in enumerate(kernel_sizes):
        name = f"depthwise.branches.{i}"
        branches.append(F.relu6(conv_bn(weights, name, branch_input, size // 2, channels * factor)))
        if not parallel:
            branch_input = branch_input + branches[-1]
    mixed = torch.stack(branches).sum(0) if add else torch.cat(branches, dim=1)
    mixed = nn.ChannelShuffle(gcd(mixed.shape[1], channels))(mixed)
    with torch.no_grad():
        torch.testing.assert_close(block(x), x + conv_bn(weights, "narrow", mixed))
