# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from pranet_monai.engines.averaging import WeightAverage
from pranet_monai.errors import UsageError
from torch import nn


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1))


def set_all(net: nn.Module, value: float) -> None:
    for tensor in (*net.parameters(), net[1].running_mean):  # type: ignore[index]
        tensor.data.fill_(value)


def test_by_hand() -> None:
    """Steps weigh 10 / (n + 10) at first, then the momentum; batch norm's statistics too, its counter is copied."""
    net = network()
    average = WeightAverage(net, momentum=0.9)
    for step, value in enumerate((1.0, 2.0, 4.0)):
        set_all(net, value)
        net[1].num_batches_tracked.fill_(step)  # type: ignore[index]
        average.update()
    # taken over: 1; then 10/11 of 2; then 0.9, more than 10/12, of 4
    expected = 0.1 * (1 / 11 + 2 * 10 / 11) + 0.9 * 4
    averaged = average.network
    assert averaged[0].weight.item() == pytest.approx(expected)  # type: ignore[index]
    assert averaged[1].running_mean.item() == pytest.approx(expected)  # type: ignore[index]
    assert averaged[1].num_batches_tracked.item() == 2  # type: ignore[index]
    assert net[0].weight.item() == 4  # type: ignore[index]


def test_off_is_the_network_itself() -> None:
    net = network()
    average = WeightAverage(net)
    average.update()
    assert average.network is net and average.state_dict() == {}


def test_goes_on_from_its_state() -> None:
    net = network()
    unbroken = WeightAverage(net, momentum=0.1)
    for value in (1.0, 2.0):
        set_all(net, value)
        unbroken.update()
    resumed = WeightAverage(network(), momentum=0.1)
    resumed.load_state_dict(unbroken.state_dict())
    resumed._network = net
    set_all(net, 5.0)
    unbroken.update()
    resumed.update()
    for ours, theirs in zip(unbroken.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_momentum_is_a_share(momentum: float) -> None:
    with pytest.raises(UsageError, match=f"ema_momentum={momentum} must be 0"):
        WeightAverage(network(), momentum)
