# SPDX-License-Identifier: Apache-2.0
"""A batch is shared out to engines that run at once, and comes back in its order."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Barrier

import numpy as np
import pytest
import torch
from pranet_monai.runtimes.arrays import ArrayNetwork, Infer
from torch import nn


@pytest.fixture(params=[1, 2, 3, 8])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(torch, "get_num_threads", lambda: request.param)
    return request.param


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8])
def test_parts_run_at_once_and_keep_their_order(number: int, threads: int) -> None:
    made = []

    def engines(count: int) -> Sequence[Infer]:
        made.append(count)
        all_here = Barrier(count, timeout=20)  # one engine after the other would never pass it

        def infer(images: np.ndarray) -> list[np.ndarray]:
            assert images.flags.c_contiguous and images.dtype == np.float32
            all_here.wait()
            return [images * 2, images[:, :1] + 1]

        return [infer] * count

    run = ArrayNetwork(engines, nn.Identity())
    images = torch.arange(number * 2 * 3 * 4, dtype=torch.float64).reshape(number, 2, 3, 4)
    for _ in range(2):
        double, more = run(images)
        assert torch.equal(double, images.float() * 2) and torch.equal(more, images.float()[:, :1] + 1)
    (count,) = made
    assert count <= min(number, threads) < 2 * count and count & (count - 1) == 0


def test_an_error_of_one_part_is_raised() -> None:
    def engines(count: int) -> Sequence[Infer]:
        def infer(images: np.ndarray) -> list[np.ndarray]:
            raise MemoryError("50 GiB")

        return [infer] * count

    with pytest.raises(MemoryError, match="50 GiB"):
        ArrayNetwork(engines, nn.Identity())(torch.zeros(2, 1, 4, 4))
