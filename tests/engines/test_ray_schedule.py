# SPDX-License-Identifier: Apache-2.0
"""Cases on Ray's actors: every one is done once, whatever dies, and what no worker can do is a row that says so."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pranet_monai.engines import ray_schedule
from pranet_monai.engines.ray_schedule import RaySchedule
from pranet_monai.errors import UsageError
from pranet_monai.reports.case_result import CaseResult

ray = pytest.importorskip("ray", reason="Ray has no wheel for this Python")
pytestmark = pytest.mark.slow

CASES = [{"case": f"case{number}"} for number in range(12)]


class Worker:
    """Does what a case's name says in the folder: nothing, die once, die always, or fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / f"pid{os.getpid()}").touch()

    def __call__(self, case: Mapping[str, Any]) -> CaseResult:
        name = case["case"]
        (self.folder / f"{name}.done_by_{os.getpid()}").touch()
        once = self.folder / f"{name}.dies_once"
        if once.exists() or (self.folder / f"{name}.dies").exists():
            once.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.folder / f"{name}.fills_the_disk").exists():
            raise OSError(errno.ENOSPC, "No space left on device", name)
        time.sleep(0.05)
        return CaseResult(name, "ok", seconds=0.05)


def broken(message: str) -> Callable[[Mapping[str, Any]], CaseResult]:
    raise UsageError(message)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with ray_schedule._cluster("local"):
        yield


def schedule(folder: Path, workers: int = 2) -> RaySchedule:
    return RaySchedule(CASES, partial(Worker, folder), workers)


def test_every_case_is_done_once_by_a_free_worker(tmp_path: Path) -> None:
    results = list(schedule(tmp_path))
    assert sorted(result.case for result in results) == sorted(case["case"] for case in CASES)
    assert {result.status for result in results} == {"ok"}
    assert 1 <= len(list(tmp_path.glob("pid*"))) <= 2, (
        "each loads once; one may have done all before the other was there"
    )
    assert len(list(tmp_path.glob("*.done_by_*"))) == len(CASES)


def test_a_death_costs_a_retry_of_its_case(tmp_path: Path) -> None:
    for name in ("case0", "case5", "case11"):
        (tmp_path / f"{name}.dies_once").touch()
    results = list(schedule(tmp_path))
    assert sorted(result.case for result in results) == sorted(case["case"] for case in CASES)
    assert {result.status for result in results} == {"ok"}
    twice = {path.name.split(".")[0] for path in tmp_path.glob("*.done_by_*")}
    assert len(list(tmp_path.glob("*.done_by_*"))) == len(CASES) + 3 and len(twice) == len(CASES)


def test_a_case_that_no_worker_survives_is_a_failed_row(tmp_path: Path) -> None:
    (tmp_path / "case3.dies").touch()
    results = {result.case: result for result in schedule(tmp_path)}
    assert len(results) == len(CASES)
    assert len(list(tmp_path.glob("case3.done_by_*"))) == 3, "two retries"
    assert results.pop("case3").status == "failed" and {result.status for result in results.values()} == {"ok"}


def test_the_reason_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "case0.dies").touch()
    (result,) = RaySchedule(CASES[:1], partial(Worker, tmp_path), 1)
    assert "its worker died 3 times" in result.reason and "fix: make sure that there is memory" in result.reason


def test_workers_that_never_live_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_schedule, "DEATHS_IN_A_ROW", 2)
    for case in CASES:
        (tmp_path / f"{case['case']}.dies").touch()
    with pytest.raises(UsageError, match="died 3 times without a good case between"):
        list(schedule(tmp_path, workers=1))


def test_what_no_worker_can_load_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="found no weights"):
        list(RaySchedule(CASES, partial(broken, "found no weights"), 1))


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "case4.fills_the_disk").touch()
    with pytest.raises(OSError, match="No space left") as caught:
        list(schedule(tmp_path))
    assert caught.value.errno == errno.ENOSPC
