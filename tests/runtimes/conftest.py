# SPDX-License-Identifier: Apache-2.0
"""A small network with all that makes exports hard, and a cache of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SmallNet(nn.Module):
    """Two scales, resized by the size of the input; one map, or with ``maps`` several as a tuple."""

    def __init__(self, in_channels: int = 2, out_channels: int = 3, maps: int = 1, slope: float = 0.1) -> None:
        super().__init__()
        self.in_channels, self.divisor, self.maps, self.slope = in_channels, 4, maps, slope
        self.fine = nn.Sequential(nn.Conv2d(in_channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.coarse = nn.Conv2d(8, out_channels, 4, stride=4)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        low = F.leaky_relu(self.coarse(self.fine(x)), self.slope)
        logits = F.interpolate(low, size=x.shape[2:], mode="bilinear", align_corners=False)
        answer = tuple(logits * (index + 1) for index in range(self.maps))
        return answer[0] if self.maps == 1 else answer


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where exports go; empty at first."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, **_: tmp_path / "cache" / name)
    return tmp_path / "cache" / "pranet_monai" / "runtimes"


def small_net(**arguments: int | float) -> SmallNet:
    torch.manual_seed(0)
    return SmallNet(**arguments).eval()  # type: ignore[arg-type]
