# SPDX-License-Identifier: Apache-2.0
"""A lock holds one run at a time, also while others let go of it."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from pranet_monai.errors import UsageError
from pranet_monai.forms.run_folder import RunFolder

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


def hold_for(root: Path, seconds: float, begun: Event) -> None:
    RunFolder(root).lock()
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
