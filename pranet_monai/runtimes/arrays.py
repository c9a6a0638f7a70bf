# SPDX-License-Identifier: Apache-2.0
"""A network in an engine that takes arrays and gives arrays, as a callable on tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
import torch
from pranet_monai.runtimes.base import StandIn, one_or_several
from torch import Tensor, nn

__all__ = ["ArrayNetwork"]


class ArrayNetwork(StandIn):
    """Calls an engine with one image array at a time: several threads, as a server has, wait for each other.

    Args:
        infer: ``(B, C, H, W)`` float32, contiguous, to new arrays.
        network: whose answer it gives; only its statements are read.
    """

    def __init__(self, infer: Callable[[np.ndarray], Sequence[np.ndarray]], network: nn.Module) -> None:
        super().__init__(network)
        self._infer = infer
        self._lock = Lock()

    def __call__(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Images ``(B, C, H, W)`` to the engine's one tensor, or its several."""
        with self._lock:
            arrays = self._infer(np.ascontiguousarray(x.numpy(force=True), dtype=np.float32))
        return one_or_several([torch.from_numpy(array).to(x.device) for array in arrays])
