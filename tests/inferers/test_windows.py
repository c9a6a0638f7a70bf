# SPDX-License-Identifier: Apache-2.0
"""Which slices go through whole, what they are filled up with, and that it is cut off again."""

from __future__ import annotations

import pytest
import torch
from pranet_monai.errors import UsageError
from pranet_monai.inferers import SliceVolumeInferer
from pranet_monai.inferers.windows import Windows
from torch import Tensor, nn

from .base import SmallNet, volume


class Watching(nn.Module):
    """Gives its input back and keeps it."""

    def __init__(self, divisor: int | None = None) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        if divisor:
            self.divisor = divisor

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.clone())
        return x

    @property
    def sizes(self) -> set[tuple[int, ...]]:
        return {tuple(x.shape[2:]) for x in self.seen}


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((30, 41), (32, 48)),  # whole, filled up to the divisor
        ((64, 48), (64, 48)),  # whole as it is: the largest
        ((65, 48), (64, 48)),  # a side too long: windows
        ((20, 49), (64, 48)),  # windows, filled up on the other side
    ],
)
def test_slices_up_to_the_stated_size_go_whole(size: tuple[int, int], seen: tuple[int, int]) -> None:
    network, inputs = Watching(divisor=16), volume(1, 1, *size, 3)
    logits = SliceVolumeInferer((64, 48), output="logits", sw_batch_size=3)(inputs, network)
    assert network.sizes == {seen}
    assert (len(network.seen) == 1) == (size[0] <= 64 and size[1] <= 48), "one pass for each whole slice"
    torch.testing.assert_close(logits, inputs)  # what was added is cut off where it was added


def test_without_a_size_every_slice_is_whole() -> None:
    network = Watching(divisor=32)
    SliceVolumeInferer()(volume(1, 1, 700, 33, 2), network)
    assert network.sizes == {(704, 64)}


def test_divisor_is_the_networks_or_stated() -> None:
    inputs = volume(1, 1, 30, 30, 2)
    for network, divisor, side in ((Watching(), None, 30), (Watching(8), None, 32), (Watching(8), 20, 40)):
        SliceVolumeInferer(divisor=divisor)(inputs, network)
        assert network.sizes == {(side, side)}
    wrapped = Watching(8)
    SliceVolumeInferer()(inputs, nn.DataParallel(wrapped))
    assert wrapped.sizes == {(32, 32)}


def test_what_slices_are_filled_up_with() -> None:
    inputs = volume(1, 1, 13, 16, 2)
    for options, value in (({}, 0.0), ({"padding": -7.0}, -7.0)):
        network = Watching(divisor=16)
        SliceVolumeInferer(sw_batch_size=2, **options)(inputs, network)
        (seen,) = network.seen
        torch.testing.assert_close(seen[:, :, 1:14], inputs[0].permute(3, 0, 1, 2))  # one row before, two behind
        assert (seen[:, :, [0, 14, 15]] == value).all()


def test_whole_slices_equal_a_padded_pass() -> None:
    network, inputs = SmallNet().eval(), volume(1, 1, 20, 28, 2)
    logits = SliceVolumeInferer((64, 64), output="logits", divisor=32)(inputs, network)
    padded = nn.functional.pad(inputs[..., 1], (2, 2, 6, 6))
    torch.testing.assert_close(logits[..., 1], network(padded)[..., 6:26, 2:30])


@pytest.mark.parametrize("arguments", [{"roi_size": (8,)}, {"overlap": -0.1}, {"mode": "linear"}])
def test_wrong_arguments_are_named(arguments: dict) -> None:
    (name,) = arguments
    with pytest.raises(UsageError, match=name):
        Windows(**arguments)
