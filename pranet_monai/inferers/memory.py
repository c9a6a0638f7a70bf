# SPDX-License-Identifier: Apache-2.0
"""Handles GPU memory that runs out within a volume: smaller batches, then the CPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["AdaptiveBatches"]


class AdaptiveBatches:
    """Works through numbered items in batches, and reduces the load each time GPU memory runs out.

    First the batch is halved, down to one item; then the network moves to the CPU, and back again when the ``with``
    block ends. No batch is repeated, and each step is a warning.

    Args:
        network: a module; other callables can't be moved and get smaller batches only.
        device: where the work happens, at first.
        size: items in a batch, at first.
    """

    def __init__(self, network: Callable[..., Any], device: torch.device, size: int) -> None:
        self.network = network
        self.device = device
        self.size = size
        self._home: torch.device | None = None  # set once the network has left it

    def run(self, total: int, work: Callable[[range], Tensor]) -> Iterator[tuple[range, Tensor]]:
        """Yield each batch's item numbers with ``work(numbers)``, which uses the current ``device`` and ``size``.

        Raises:
            torch.OutOfMemoryError: there is nothing left to reduce.
        """
        start = 0
        while start < total:
            numbers = range(start, min(start + self.size, total))
            try:
                result = work(numbers)
            except torch.OutOfMemoryError as error:
                failure = error.with_traceback(None)  # the traceback's frames would keep the tensors alive
            else:
                yield numbers, result
                start = numbers.stop
                continue
            self._step_back(failure)

    def _step_back(self, failure: torch.OutOfMemoryError) -> None:
        if self.size > 1:
            self.size //= 2
            warnings.warn(f"out of GPU memory: continuing with batches of {self.size}", stacklevel=2)
        elif isinstance(self.network, nn.Module) and self._home is None:
            parameter = next(self.network.parameters(), None)
            self._home = self.device if parameter is None else parameter.device
            self.network.to("cpu")
            self.device = torch.device("cpu")
            warnings.warn("out of GPU memory with a batch of one: continuing with this volume on the CPU", stacklevel=2)
        else:
            raise failure
        torch.cuda.empty_cache()

    def __enter__(self) -> AdaptiveBatches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._home is not None and isinstance(self.network, nn.Module):
            self.network.to(self._home)
