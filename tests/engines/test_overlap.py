# SPDX-License-Identifier: Apache-2.0
"""Cases in processes beside the network's: the same folder as in one process, whatever dies."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation
from pranet_monai.engines.case_dataset import CaseDataset, CaseLoader, usual_workers
from pranet_monai.engines.case_evaluator import CaseEvaluator, CaseEvents
from pranet_monai.engines.case_worker import _receive, _send
from pranet_monai.errors import UsageError

from tests.engines.test_case_evaluator import BAD, evaluator, mask_path, run, save

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are started another way elsewhere")

TIMES = ["seconds", "network_seconds"]


def no_process_is_left() -> bool:
    time.sleep(0.1)  # a thread that has just waited for a process has to get its turn to say so
    return not multiprocessing.active_children()


def in_case(name: str, action: Callable[[], None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A step behind the others that does something in one case."""

    def step(data: dict[str, Any]) -> dict[str, Any]:
        if data["case"] == name:
            action()
        return data

    return step


def test_the_same_rows_and_masks_in_the_same_order(tmp_path: Path) -> None:
    """Good cases, cines, references, and every bad case there is."""
    data = tmp_path / "data"
    for number, make in enumerate(BAD):
        folder = data / f"{number}_{make.__name__}"
        if make.__name__ != "mask_in_the_way":
            folder.mkdir(parents=True)
            make(folder)
    rng = np.random.default_rng(1)
    for name in "abcdef":
        save(data / f"{name}.nii.gz", rng.integers(0, 2, (9, 8, 7)), np.diag([2, -1.5, 8, 1])[[1, 0, 2, 3]])
        save(data / f"{name}_gt.nii.gz", rng.integers(0, 2, (9, 8, 7)), np.diag([2, -1.5, 8, 1])[[1, 0, 2, 3]])
    save(data / "cine.nii.gz", rng.integers(0, 2, (6, 7, 5, 3)))
    tables = [run(data, tmp_path / f"out{workers}", workers=workers) for workers in (0, 2)]
    pd.testing.assert_frame_equal(*(table.drop(columns=TIMES) for table in tables))
    assert {"ok", "failed"} == set(tables[0].status)
    metrics = [(tmp_path / f"out{workers}" / "report" / "metrics.csv").read_bytes() for workers in (0, 2)]
    assert metrics[0] == metrics[1]
    masks = [sorted((tmp_path / f"out{workers}").rglob("*.nii.gz")) for workers in (0, 2)]
    assert [path.read_bytes() for path in masks[0]] == [path.read_bytes() for path in masks[1]] and masks[0]
    good = tables[1][tables[1].status == "ok"][TIMES].astype(float)
    assert (good.network_seconds > 0).all() and (good.seconds > good.network_seconds).all()
    assert no_process_is_left()


def test_waiting_for_the_network_is_no_work(tmp_path: Path) -> None:
    for name in "abcd":
        save(tmp_path / f"{name}.nii")
    engine, report = evaluator(tmp_path, tmp_path / "out", workers=4)

    class Slow(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            time.sleep(1)
            return image

    engine.runner.network = Slow()
    engine.run()
    report.finish()
    table = pd.read_csv(tmp_path / "out" / "report" / "cases.csv")
    assert (table.network_seconds > 0.9).all()
    assert (table.seconds - table.network_seconds).max() < 2, "the last one stood in line for 3 s"


def test_a_worker_that_dies_costs_a_second_attempt(tmp_path: Path) -> None:
    data, mark = tmp_path / "data", tmp_path / "died"

    def die_once() -> None:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    for name in "abcd":
        save(data / f"{name}.nii.gz")
    table = run(data, tmp_path / "out", workers=2, then=[in_case("b", die_once)])
    assert table.status.to_dict() == dict.fromkeys("abcd", "ok") and mark.exists()
    assert no_process_is_left()


@pytest.mark.parametrize(
    ("kind", "words"),
    [(signal.SIGKILL, "SIGKILL, as the system does when memory runs out"), (signal.SIGSEGV, "SIGSEGV")],
)
def test_a_case_that_kills_its_workers_is_a_row(tmp_path: Path, kind: signal.Signals, words: str) -> None:
    for name in "abcd":
        save(tmp_path / f"{name}.nii.gz")
    steps = [in_case("b", lambda: os.kill(os.getpid(), kind))]
    table = run(tmp_path, tmp_path / "out", workers=2, then=steps)
    assert table.status.to_dict() == {"a": "ok", "b": "failed", "c": "ok", "d": "ok"}
    assert words in table.reason["b"] and "--set workers=0" in table.reason["b"]
    assert no_process_is_left()


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "b")

    for name in "abcde":
        save(tmp_path / f"{name}.nii.gz")
    engine, _ = evaluator(tmp_path, tmp_path / "out", workers=2, then=[in_case("b", full)])
    with pytest.raises(OSError, match="No space left"):
        engine.run()
    assert list(pd.read_csv(tmp_path / "out" / "report" / "cases.csv").case) == ["a"]
    assert no_process_is_left()


def test_ctrl_c_stops_all_processes_and_keeps_the_rows(tmp_path: Path) -> None:
    for name in "abcdefgh":
        save(tmp_path / f"{name}.nii")
    engine, _ = evaluator(tmp_path, tmp_path / "out", workers=2)

    @engine.on(CaseEvents.CASE_COMPLETED)
    def press(engine: CaseEvaluator) -> None:
        if engine.state.result.case == "b":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run()
    assert no_process_is_left()
    assert list(pd.read_csv(tmp_path / "out" / "report" / "cases.csv").case) == ["a", "b"]
    assert not mask_path(tmp_path / "out", "h").exists()
    assert not list((tmp_path / "out").glob(".*")), "half a mask was left"
    assert set(run(tmp_path, tmp_path / "out", resume=True, workers=2).status) == {"ok", "skipped"}


def test_ctrl_c_while_the_network_works(tmp_path: Path) -> None:
    for name in "abcd":
        save(tmp_path / f"{name}.nii")
    engine, _ = evaluator(tmp_path, tmp_path / "out", workers=2)

    class Interrupted(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            raise KeyboardInterrupt

    engine.runner.network = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        engine.run()
    assert no_process_is_left()


def stopped(folder: Path, moment: str) -> tuple[int, str, float]:
    """A command that is stopped at a moment: its exit code, its last line, and the seconds that it took to end."""
    for name in "abcdefgh":
        save(folder / f"{name}.nii")
    script = f"""
import multiprocessing, os, queue, signal, sys, threading, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.engines.test_case_evaluator import evaluator
from pranet_monai.apps.bundle_run import run_cases
from pranet_monai.apps.endings import own_command
from pranet_monai.engines import case_schedule
from pranet_monai.engines.case_evaluator import CaseEvents

def stop():
    print(time.time(), file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)

{moment}
engine, _ = evaluator(Path({str(folder)!r}), Path({str(folder / "out")!r}), workers=2)
engine.add_event_handler(CaseEvents.CASE_COMPLETED, lambda: at_first_row())
with own_command():
    run_cases(engine)
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    first, *_, last = ended.stderr.splitlines()
    return ended.returncode, last, time.time() - float(first)


STOPPED = "stopped: finished cases are kept; to continue, run the same command with --resume"


def test_a_stop_just_when_a_worker_has_asked(tmp_path: Path) -> None:
    """The question is taken out of the line, and then nobody has it."""
    moment = """
class Queue(queue.SimpleQueue):
    def get(self, *args):
        found = super().get(*args)
        if isinstance(found, case_schedule._Question):
            stop()
        return found
case_schedule.SimpleQueue = Queue
at_first_row = lambda: None
"""
    code, last, seconds = stopped(tmp_path, moment)
    assert (code, last) == (143, STOPPED) and seconds < 20


def test_a_second_stop_while_workers_do_not_end(tmp_path: Path) -> None:
    """They are stopped (SIGSTOP), so that only SIGKILL ends them; the second signal comes meanwhile."""
    moment = """
def at_first_row():
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGSTOP)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    stop()
"""
    code, last, seconds = stopped(tmp_path, moment)
    assert (code, last) == (143, STOPPED) and seconds < 20


@pytest.mark.parametrize("work", ["Lost(); time.sleep(30)", pytest.param("stop_in_a_wait()", marks=pytest.mark.slow)])
def test_a_stop_that_the_work_does_not_notice(tmp_path: Path, work: str) -> None:
    """Python drops what a signal raises in a finaliser; other code may catch it, and then wait for ever."""
    moment = f"""
from pranet_monai.apps import endings
endings._END_SECONDS = 1.0
class Lost:
    def __del__(self):
        stop()
def stop_in_a_wait():
    try:
        stop()
    except KeyboardInterrupt:
        threading.Event().wait()
def at_first_row():
    {work}
"""
    code, last, seconds = stopped(tmp_path, moment)
    assert (code, last) == (143, "stopped: cut short after 1 s; what is finished is kept") and seconds < 25
    assert run(tmp_path, tmp_path / "out", resume=True, workers=2).status["a"] == "skipped", "the lock is free"


@pytest.mark.parametrize("turned", ["KeyboardInterrupt", "ImportError('of a part')"])
def test_a_stop_that_other_code_has_turned_into_something_else(tmp_path: Path, turned: str) -> None:
    """Ray makes a Ctrl-C of all, pydoc's import an error of its own."""
    moment = f"""
def at_first_row():
    try:
        stop()
    except KeyboardInterrupt:
        raise {turned}
"""
    code, last, _ = stopped(tmp_path, moment)
    assert (code, last) == (143, STOPPED)


def test_a_killed_run_leaves_no_process_behind_and_is_taken_up_again(tmp_path: Path) -> None:
    for name in "abcdef":
        save(tmp_path / f"{name}.nii.gz")
    script = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.engines.test_case_evaluator import CaseEvaluator, evaluator
from pranet_monai.engines.case_evaluator import CaseEvents
engine, _ = evaluator(Path({str(tmp_path)!r}), Path({str(tmp_path / "out")!r}), workers=2)
@engine.on(CaseEvents.CASE_COMPLETED)
def kill(engine):
    if engine.state.result.case == "b":
        import multiprocessing
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
engine.run()
"""
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    children = [int(pid) for pid in ended.stdout.split()]
    assert len(children) == 2
    until = time.monotonic() + 30
    while any(is_running(pid) for pid in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in children)
    table = run(tmp_path, tmp_path / "out", resume=True, workers=2)
    assert table.status.to_dict() == {name: "skipped" if name in "ab" else "ok" for name in "abcdef"}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_arrays_cross_the_pipe_as_they_are() -> None:
    image = MetaTensor(
        torch.rand(1, 30, 40, 50), affine=torch.diag(torch.tensor([-2.0, 3, 4, 1])), meta={"frames": [1]}
    )
    turned = Orientation("RAS", labels=None)(image)
    large = torch.arange(6_000_000, dtype=torch.int32).reshape(2, -1).T  # several messages, not in one piece
    sent = {"image": turned, "large": large, "scalar": torch.tensor(3.5), "empty": np.zeros((0, 3)), "text": "é"}
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_send, args=(there, sent))
    process.start()
    received = _receive(here)
    process.join()
    assert isinstance(received["image"], MetaTensor) and torch.equal(received["image"].as_tensor(), turned.as_tensor())
    assert torch.equal(received["image"].affine, turned.affine) and received["image"].meta["frames"] == [1]
    assert received["image"].applied_operations[0]["class"] == "Orientation"
    assert torch.equal(received["large"], large) and received["scalar"].shape == () and received["text"] == "é"
    received["image"] += 1  # it can be changed in place
    assert received["empty"].shape == (0, 3)


@pytest.mark.parametrize(
    ("cores", "ranks", "workers"), [(1, 1, 0), (2, 1, 2), (2, 2, 0), (8, 1, 2), (12, 1, 3), (64, 2, 4)]
)
def test_usual_workers(monkeypatch: pytest.MonkeyPatch, cores: int, ranks: int, workers: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    assert usual_workers() == workers
    data = [{"case": name, "image": ""} for name in "ab"]
    assert CaseLoader(CaseDataset(data), None).workers == workers
    assert CaseLoader(CaseDataset(data[:1]), None).workers == 0, "one case has nothing to hide behind another"


@pytest.mark.parametrize("workers", [-1, 1.5, "two", True])
def test_wrong_numbers_of_workers(workers: Any) -> None:
    with pytest.raises(UsageError, match="workers .*: allowed: 0 or more"):
        CaseLoader(CaseDataset([{"case": "a", "image": ""}]), workers)
