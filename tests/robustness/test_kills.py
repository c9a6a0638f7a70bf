# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment of a run over a folder, and --resume: as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from .patients import check_whole, outcome, write_patients
from .runs import segment

KILLS_IN_A_ROW = 2
SEED = 14


@pytest.fixture(scope="module")
def ready() -> ForkServerContext:
    """Processes that begin with everything imported: a round takes no time but the run's own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [f"{__package__}.runs", "pranet_monai.engines.case_evaluator", "pranet_monai.reports"]
    )
    return context


def start(context: ForkServerContext, data: Path, output: Path, *options: str) -> multiprocessing.process.BaseProcess:
    process = context.Process(target=segment, args=(data, output, data.parent / "model.pt", "acdc", *options))
    process.start()
    return process


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.fuzz])])
def test_killed_runs_end_as_undisturbed_ones(rounds: int, ready: ForkServerContext, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data")
    start(ready, data, tmp_path / "warm").join()  # what is imported late, and the weights' file
    began = time.monotonic()
    start(ready, data, tmp_path / "whole").join()
    whole, seconds = outcome(tmp_path / "whole"), time.monotonic() - began
    assert len(whole["cases"]) == 9 and len(whole["metrics"]) > 0  # type: ignore[arg-type]
    chance = random.Random(SEED)
    hit = 0
    for number in range(rounds):
        output = tmp_path / f"out{number}"
        for attempt in range(KILLS_IN_A_ROW):
            process = start(ready, data, output, *(["--resume"] if attempt else []))
            process.join(chance.uniform(0.05, 0.8) * seconds)
            process.kill()
            process.join()
            hit += process.exitcode == -9
            if (output / "report").is_dir():
                check_whole(output)
        code, said = segment(data, output, tmp_path / "model.pt", "acdc", "--resume")
        assert code == 1, said  # of the bad file
        found = outcome(output)
        assert found["hidden"] == [], number
        for part in ("cases", "metrics", "files"):
            assert found[part] == whole[part], f"round {number}: other {part} after its kills"
        shutil.rmtree(output)
    assert hit >= rounds / 2, "the runs were over before they could be killed"
