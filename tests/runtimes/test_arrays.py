# SPDX-License-Identifier: Apache-2.0
"""A batch is shared out to engines that run at once, and comes back in its order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from threading import Barrier, BrokenBarrierError

import numpy as np
import pytest
import torch
from pranet_monai.runtimes.arrays import ArrayNetwork, Infer
from torch import nn


@pytest.fixture(params=[1, 2, 3, 8])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(torch, "get_num_threads", lambda: request.param)
    return request.param


@pytest.mark.parametrize("number", [1, 2, 3, 5, 20])
def test_images_run_at_once_and_keep_their_order(number: int, threads: int) -> None:
    made, running, most = [], [], [0]

    def engines(count: int) -> Sequence[Infer]:
        made.append(count)
        meeting = Barrier(count)  # one engine after the other would never pass it

        def infer(images: np.ndarray) -> list[np.ndarray]:
            assert images.flags.c_contiguous and images.dtype == np.float32
            running.append(None)
            most[0] = max(most[0], len(running))
            if not meeting.broken:
                with suppress(BrokenBarrierError):  # the last images may be fewer than the engines
                    meeting.wait(timeout=0.5)
            running.pop()
            return [images * 2, images[:, :1] + 1]

        return [partial(infer) for _ in range(count)]

    run = ArrayNetwork(engines, nn.Identity())
    images = torch.arange(number * 2 * 3 * 4, dtype=torch.float64).reshape(number, 2, 3, 4)
    for _ in range(2):
        double, more = run(images)
        assert torch.equal(double, images.float() * 2) and torch.equal(more, images.float()[:, :1] + 1)
    (count,) = made
    assert most == [count] and count <= min(number, threads) < 2 * count and count & (count - 1) == 0


def test_it_states_the_batch_that_keeps_its_threads_busy(threads: int) -> None:
    assert ArrayNetwork(lambda _: [], nn.Identity()).batch_size == {1: None, 2: 8, 3: 8, 8: 8}[threads]


def test_an_error_of_one_part_is_raised() -> None:
    def engines(count: int) -> Sequence[Infer]:
        def infer(images: np.ndarray) -> list[np.ndarray]:
            raise MemoryError("50 GiB")

        return [infer] * count

    with pytest.raises(MemoryError, match="50 GiB"):
        ArrayNetwork(engines, nn.Identity())(torch.zeros(2, 1, 4, 4))
