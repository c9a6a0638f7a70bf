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


@pytest.mark.parametrize("name", ["OutOfMemoryError", "ObjectLostError"])
def test_what_the_memory_monitor_kills_costs_a_retry(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, left = ray.get, [1]
    killed = {"OutOfMemoryError": ("",), "ObjectLostError": ("ab", None, "")}[name]

    def get_or_die(reference: Any) -> Any:
        found = get(reference)
        if found is not None and left:
            left.pop()
            raise getattr(ray.exceptions, name)(*killed)
        return found

    monkeypatch.setattr(ray, "get", get_or_die)
    results = list(schedule(tmp_path))
    assert sorted(result.case for result in results) == sorted(case["case"] for case in CASES)
    assert {result.status for result in results} == {"ok"}
    assert len(list(tmp_path.glob("*.done_by_*"))) == len(CASES) + 1 and not left


@pytest.mark.parametrize(
    ("nodes", "workers", "expected"),
    [
        ([(4, 0), (4, 0), (4, 0)], 2, (2, {"num_cpus": 4})),  # 6 of 12 would fit nowhere
        ([(8, 1), (64, 0)], None, (1, {"num_cpus": 8, "num_gpus": 1})),  # the GPU is beside 8 CPUs
        ([(0, 0), (2, 0)], 4, (4, {"num_cpus": 0.5})),  # a head that takes no work
        ([(16, 0)], 3, (3, {"num_cpus": 5})),
        ([(16, 4)], None, (4, {"num_cpus": 4, "num_gpus": 1})),
        ([(8, 1)], 4, (4, {"num_cpus": 2, "num_gpus": 0.25})),
    ],
)
def test_a_worker_fits_on_a_machine(
    nodes: list[tuple[int, int]], workers: int | None, expected: tuple[int, dict[str, float]], tmp_path: Path
) -> None:
    resources = [{"CPU": float(cpus), **({"GPU": float(gpus)} if gpus else {})} for cpus, gpus in nodes]
    assert RaySchedule(CASES, partial(Worker, tmp_path), workers)._shares(resources) == expected


def slow_worker(folder: Path) -> Worker:
    time.sleep(3)
    return Worker(folder)


def test_it_says_that_no_worker_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_schedule, "_SILENT_SECONDS", 1.0)
    results = list(RaySchedule(CASES[:1], partial(slow_worker, tmp_path), 1))
    assert [result.status for result in results] == ["ok"]
    said = capsys.readouterr().err
    assert "workers: none has started for 1 s, still waiting; each wants" in said and "CPU of one machine" in said


def test_what_no_worker_can_load_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="found no weights"):
        list(RaySchedule(CASES, partial(broken, "found no weights"), 1))


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "case4.fills_the_disk").touch()
    with pytest.raises(OSError, match="No space left") as caught:
        list(schedule(tmp_path))
    assert caught.value.errno == errno.ENOSPC
