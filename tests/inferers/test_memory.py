# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pranet_monai.inferers import SliceVolumeInferer
from torch import Tensor, nn

from .base import SmallNet, volume


def peak_bytes(inferer: SliceVolumeInferer, inputs: Tensor, network: nn.Module) -> int:
    """Most bytes of tensors that lived at once during the call, from the allocator's own events."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        inferer(inputs, network)
    events = profile.profiler.kineto_results.events()
    changes = [event.nbytes() for event in sorted(events, key=lambda e: e.start_ns()) if event.name() == "[memory]"]
    return int(np.cumsum(changes).max())


def test_memory_of_labels_grows_with_the_uint8_volume_only() -> None:
    network = SmallNet(out_channels=20).eval()
    shallow, deep = volume(1, 1, 64, 64, 16), volume(1, 1, 64, 64, 64)
    growth = {
        output: peak_bytes(SliceVolumeInferer(output=output, sw_batch_size=4), deep, network)
        - peak_bytes(SliceVolumeInferer(output=output, sw_batch_size=4), shallow, network)
        for output in ("labels", "logits")
    }
    added_voxels = deep.numel() - shallow.numel()
    assert growth["labels"] == pytest.approx(added_voxels, rel=0.05)
    assert growth["logits"] == pytest.approx(added_voxels * 20 * 4, rel=0.05)  # the measure can tell


class Hungry(SmallNet):
    """Runs out of memory with more than ``limit`` slices at a time, until it is moved to the CPU."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.moves: list[str] = []
        self.batches: list[int] = []

    def to(self, *args: Any, **kwargs: Any) -> Hungry:
        self.moves.append(str(args[0]))
        return super().to(*args, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.limit and not self.moves:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.batches.append(len(x))
        return super().forward(x)


def test_out_of_memory_halves_the_batch(network: nn.Module) -> None:
    inputs, hungry = volume(1, 1, 12, 12, 7), Hungry(limit=2).eval()
    with pytest.warns(UserWarning, match="batches of 2"):
        labels = SliceVolumeInferer(sw_batch_size=8)(inputs, hungry)
    assert torch.equal(labels, SliceVolumeInferer()(inputs, network))
    assert hungry.batches == [2, 2, 2, 1] and not hungry.moves


def test_out_of_memory_with_one_slice_goes_to_the_cpu_and_home_again(network: nn.Module) -> None:
    inputs, hungry = volume(1, 1, 12, 12, 3), Hungry(limit=0).eval()
    with pytest.warns(UserWarning, match="on the CPU"):
        labels = SliceVolumeInferer(sw_batch_size=2)(inputs, hungry)
    assert torch.equal(labels, SliceVolumeInferer()(inputs, network))
    assert hungry.moves == ["cpu", "cpu"]  # there, and back to the device it came from


def test_out_of_memory_without_a_way_out_is_raised() -> None:
    def network(x: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.warns(UserWarning, match="batches of 1"), pytest.raises(torch.OutOfMemoryError):
        SliceVolumeInferer(sw_batch_size=2)(volume(1, 1, 8, 8, 2), network)
