# SPDX-License-Identifier: Apache-2.0
"""A small network and small volumes for the tests of the inferer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CLASSES = 5


class SmallNet(nn.Module):
    """Untrained, but sees position and neighbourhood, so wrong windows, flips or axes change its labels."""

    def __init__(self, in_channels: int = 1, out_channels: int = CLASSES) -> None:
        super().__init__()
        self.in_channels = in_channels
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, out_channels, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        ramp = torch.linspace(-0.2, 0.3, x.shape[-1], device=x.device).expand(x.shape[-2:])
        return self.body(x + ramp + 2 * ramp.mT if x.shape[-1] == x.shape[-2] else x + ramp)


def volume(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def affine(spacing: tuple[float, float, float] = (1, 1, 1)) -> Tensor:
    return torch.diag(torch.tensor([*spacing, 1.0], dtype=torch.float64))
