# SPDX-License-Identifier: Apache-2.0
"""A running average of a network's weights during training, which is what is validated and kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Engine, Events
from pranet_monai.engines.checkpoint import unwrapped
from pranet_monai.errors import UsageError
from torch.optim.swa_utils import AveragedModel

__all__ = ["WeightAverage"]

_WARM_UP = 10  # the average's n-th step weighs at least 1 / (n + 10) times this: the random start fades sooner


class WeightAverage:
    """The exponential moving average of a network's weights and batch norm statistics.

    After each step ``average = (1 - momentum) * average + momentum * weights``, by torch's ``AveragedModel``. The first
    steps weigh more, ``10 / (n + 10)`` at step n, so that the random start is soon forgotten.

    Args:
        network: whose weights to average.
        momentum: share of a step's weights in the average, 0.002 for one of about the last 500 steps; 0 for none.

    Raises:
        UsageError: `momentum` isn't in [0, 1).
    """

    def __init__(self, network: torch.nn.Module, momentum: float = 0.0) -> None:
        if not 0 <= momentum < 1:
            raise UsageError(f"ema_momentum={momentum} must be 0 (no averaging) or a number between 0 and 1, as 0.002")
        self.momentum = momentum
        self._network = network
        self._averaged = (
            AveragedModel(unwrapped(network), multi_avg_fn=self._average, use_buffers=True) if momentum else None
        )

    @property
    def network(self) -> torch.nn.Module:
        """The network with the averaged weights; without averaging, the network itself."""
        return self._network if self._averaged is None else self._averaged.module

    def attach(self, engine: Engine) -> None:
        """Follow the trainer."""
        if self._averaged is not None:
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.update)

    def update(self) -> None:
        """Take in the network's present weights; the first time, take them over."""
        if self._averaged is not None:
            self._averaged.update_parameters(unwrapped(self._network))

    def state_dict(self) -> dict[str, Any]:
        """The average and the number of its steps; empty without averaging."""
        return {} if self._averaged is None else self._averaged.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        if self._averaged is not None:
            self._averaged.load_state_dict(state)

    @torch.no_grad()
    def _average(self, averaged: Any, current: Any, steps: torch.Tensor | int) -> None:
        momentum = max(self.momentum, _WARM_UP / (int(steps) + _WARM_UP))
        if torch.is_floating_point(averaged[0]):
            torch._foreach_lerp_(averaged, current, momentum)
        else:  # batch norm's counters
            torch._foreach_copy_(averaged, current)
