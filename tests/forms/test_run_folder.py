# SPDX-License-Identifier: Apache-2.0
"""A lock holds one run at a time, also while others let go of it."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

from pranet_monai.errors import UsageError
from pranet_monai.forms.run_folder import RunFolder

PROCESSES, ROUNDS = 4, 200


def hold_and_let_go(root: Path) -> None:
    """Fails where somebody else holds the lock as well."""
    folder = RunFolder(root)
    for _ in range(ROUNDS):
        while True:
            try:
                folder.lock()
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
