# SPDX-License-Identifier: Apache-2.0
"""A lock holds one run at a time, also while others let go of it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from pranet_monai.errors import UsageError
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.forms.shard import Shard

PROCESSES, ROUNDS = 4, 200


def hold_and_let_go(root: Path) -> None:
    """Fails where somebody else holds the lock as well."""
    folder = RunFolder(root)
    for _ in range(ROUNDS):
        while True:
            try:
                folder.lock(seconds=0)
                break
            except UsageError:
                continue
        os.close(os.open(root / "held", os.O_CREAT | os.O_EXCL))
        os.unlink(root / "held")
        folder.unlock()


def test_no_two_runs_hold_the_lock(tmp_path: Path) -> None:
    """A lock file that is removed after its release can be one that another run has locked meanwhile."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=hold_and_let_go, args=(tmp_path,)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert not (tmp_path / "report" / ".lock").exists()


@pytest.fixture
def held(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunFolder]:
    """The folder of a run, whole or a shard, that another process is writing into."""
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    process = context.Process(target=hold_for, args=(tmp_path, 60.0, begun, request.param))
    process.start()
    begun.wait()
    yield RunFolder(tmp_path, request.param)
    process.kill()
    process.join()


@pytest.mark.parametrize(
    ("held", "other"), [(None, Shard(1, 2)), (Shard(1, 2), None), (Shard(1, 2), Shard(1, 2))], indirect=["held"]
)
def test_the_whole_and_its_shards_are_not_written_at_once(held: RunFolder, other: Shard | None) -> None:
    folder = RunFolder(held.root, other)
    for refused in (folder.lock, folder.check_unlocked):
        with pytest.raises(UsageError, match=f"{held.root}: found another run.* that is writing into it"):
            refused(seconds=0)
    assert held.is_locked and (folder.report == held.report or not folder.is_locked)


@pytest.mark.parametrize("held", [Shard(1, 2)], indirect=True)
def test_shards_are_written_at_once_and_merged_meanwhile(held: RunFolder) -> None:
    second, whole = RunFolder(held.root, Shard(2, 2)), RunFolder(held.root)
    second.lock(seconds=0)
    whole.lock(seconds=0, beside_shards=True)
    whole.unlock()
    second.unlock()


def test_a_second_run_of_one_process_is_refused_as_well(tmp_path: Path) -> None:
    whole, shard = RunFolder(tmp_path), RunFolder(tmp_path, Shard(1, 2))
    for first, second in ((whole, shard), (shard, whole)):
        first.lock()
        with pytest.raises(UsageError, match="found another run"):
            second.lock(seconds=0)
        first.unlock()
    second.lock()
    second.unlock()


def hold_for(root: Path, seconds: float, begun: Event, shard: Shard | None = None) -> None:
    RunFolder(root, shard).lock()
    begun.set()
    time.sleep(seconds)
    os._exit(1)  # as a worker process does whose run was killed


@pytest.mark.parametrize(("seconds", "waited", "is_free"), [(0.5, 30.0, True), (30.0, 0.2, False)])
def test_a_lock_is_waited_for(seconds: float, waited: float, is_free: bool, tmp_path: Path) -> None:
    """A killed run's lock is held until its worker processes have noticed."""
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    process = context.Process(target=hold_for, args=(tmp_path, seconds, begun))
    process.start()
    begun.wait()
    assert RunFolder(tmp_path).is_locked
    try:
        RunFolder(tmp_path).lock(waited)
        assert is_free
    except UsageError:
        assert not is_free
    process.kill()
    process.join()
    RunFolder(tmp_path).unlock()
