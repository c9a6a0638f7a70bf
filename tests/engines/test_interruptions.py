# SPDX-License-Identifier: Apache-2.0
"""Runs that end early, and runs that go on: nothing is lost, nothing is invented."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from monai.inferers import Inferer
from pranet_monai.apps.bundle_run import finish_run, run_cases
from pranet_monai.engines.case_evaluator import CaseEvaluator, CaseEvents
from pranet_monai.errors import UsageError

from tests.engines.test_case_evaluator import AFFINE, evaluator, mask_path, run, save


def test_resume_keeps_whole_masks_and_redoes_the_rest(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in "abc":
        save(tmp_path / f"{name}.nii.gz")
    before = run(tmp_path, out)
    whole = {name: mask_path(out, name).read_bytes() for name in "ab"}
    mask_path(out, "b").write_bytes(whole["b"][:60])
    mask_path(out, "c").unlink()
    table = run(tmp_path, out, resume=True)
    assert table.status.to_dict() == {"a": "skipped", "b": "ok", "c": "ok"}
    assert mask_path(out, "b").read_bytes() == whole["b"]
    assert table.voxels_right_ventricle.to_dict() == before.voxels_right_ventricle.to_dict()
    assert set(run(tmp_path, out).status) == {"ok"}, "without resume, everything is done again"


def test_resume_forgets_no_label(tmp_path: Path) -> None:
    """A mask is there, but nothing says how good it is: the label didn't fit, or a kill came before the row."""
    for name in "abc":
        save(tmp_path / f"{name}.nii.gz")
        save(tmp_path / f"{name}_gt.nii.gz", np.ones((6, 7, 4 if name == "b" else 5)))
    out = tmp_path / "out"
    assert run(tmp_path, out).status.to_dict() == {"a": "ok", "b": "failed", "c": "ok"}
    assert mask_path(out, "b").exists()
    for table in ("cases", "metrics"):
        rows = pd.read_csv(out / "report" / f"{table}.csv")
        rows[rows.case != "c"].to_csv(out / "report" / f"{table}.csv", index=False)
    assert run(tmp_path, out, resume=True).status.to_dict() == {"a": "skipped", "b": "failed", "c": "ok"}
    assert set(pd.read_csv(out / "report" / "metrics.csv").case) == {"a", "c"}


def test_resume_trusts_only_masks_of_this_image_and_these_weights(tmp_path: Path) -> None:
    """Another content, another affine, other weights: each is made again, whatever is there."""
    out, weights = tmp_path / "out", tmp_path / "model.pt"
    weights.write_bytes(b"first")
    for name in "abc":
        save(tmp_path / f"{name}.nii.gz")
    run(tmp_path, out, weights=weights)
    save(tmp_path / "a.nii.gz", np.ones((6, 7, 5)))
    save(tmp_path / "b.nii.gz", affine=np.diag([-1.5, -1.5, 6, 1]))
    table = run(tmp_path, out, resume=True, weights=weights)
    assert table.status.to_dict() == {"a": "ok", "b": "ok", "c": "skipped"}
    assert table.voxels_right_ventricle["a"] == 210
    weights.write_bytes(b"second")
    assert set(run(tmp_path, out, resume=True, weights=weights).status) == {"ok"}
    assert set(run(tmp_path, out, resume=True, weights=weights).status) == {"skipped"}


def test_an_image_that_is_replaced_while_it_is_segmented_is_done_again(tmp_path: Path) -> None:
    """The mask is of the former image: its header says so, and the next run doesn't take it for the new one's."""
    path = save(tmp_path / "a.nii.gz")
    engine, report = evaluator(tmp_path, tmp_path / "out")

    class Replacing(torch.nn.Identity):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            save(path, np.ones((6, 7, 5)))
            return image

    engine.runner.network = Replacing()
    engine.run()
    report.finish()
    table = run(tmp_path, tmp_path / "out", resume=True)
    assert table.status["a"] == "ok" and table.voxels_right_ventricle["a"] == 210
    assert run(tmp_path, tmp_path / "out", resume=True).status["a"] == "skipped"


def test_a_full_disk_ends_the_run_and_keeps_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.nii.gz")
    write = nib.save

    def full(image: nib.Nifti1Image, path: Path) -> None:
        if "b_seg" in Path(path).name:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(image, path)

    monkeypatch.setattr(nib, "save", full)
    with pytest.raises(SystemExit) as end:
        run_cases(evaluator(tmp_path, tmp_path / "out")[0])
    assert end.value.code == 1
    assert list(pd.read_csv(tmp_path / "out" / "report" / "cases.csv").case) == ["a"]
    monkeypatch.undo()
    assert run(tmp_path, tmp_path / "out", resume=True).status.to_dict() == {"a": "skipped", "b": "ok", "c": "ok"}


def test_a_page_that_cannot_be_written_loses_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.nii.gz")
    engine, report = evaluator(tmp_path, tmp_path / "out")
    engine.run()

    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pranet_monai.reports.run_report.write_page", refuse)
    done = report.finish()
    assert done["unwritten"] == ["index.html (Permission denied)"]
    assert (tmp_path / "out" / "report" / "run.json").is_file()
    with pytest.raises(SystemExit) as end:
        finish_run(report, {})
    assert end.value.code == 1


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    """As long as the first lives: a killed one holds nothing."""
    save(tmp_path / "a.nii.gz")
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pranet_monai.forms.run_folder import RunFolder
RunFolder({str(tmp_path / "out")!r}).lock()
print("locked", flush=True)
sys.stdin.read()
"""
    first = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None and first.stdout.readline() == "locked\n"
    with pytest.raises(UsageError, match="found another run that is writing into it"):
        evaluator(tmp_path, tmp_path / "out")
    first.kill()
    first.wait()
    assert set(run(tmp_path, tmp_path / "out").status) == {"ok"}
    assert not list((tmp_path / "out").rglob(".*")), "nothing of the lock is left"


class Broken(Inferer):
    """A network that must not be asked."""

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        raise AssertionError("the network was asked")


def test_a_finished_mask_without_its_rows_is_measured_again(tmp_path: Path) -> None:
    """A kill between the mask of a cine and its rows: no volume may be lost, and none invented."""
    cine = np.random.default_rng(0).integers(0, 2, (6, 7, 5, 3))
    save(tmp_path / "cine.nii.gz", cine)
    save(tmp_path / "cine_gt.nii.gz", np.roll(cine, 1, axis=0))
    save(tmp_path / "x.nii.gz", affine=AFFINE[[1, 0, 2, 3]])
    out = tmp_path / "out"
    before = run(tmp_path, out)
    metrics = (out / "report" / "metrics.csv").read_text()
    written = {path: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")}
    for table in ("cases", "metrics"):
        (out / "report" / f"{table}.csv").unlink()
    engine, report = evaluator(tmp_path, out, resume=True)
    engine.runner.inferer = Broken()
    engine.run()
    report.finish()
    again = pd.read_csv(out / "report" / "cases.csv", keep_default_na=False).set_index("case")
    times = ["seconds", "network_seconds"]
    pd.testing.assert_frame_equal(again.drop(columns=times), before.drop(columns=times))
    assert (out / "report" / "metrics.csv").read_text() == metrics
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.nii.gz")} == written


def test_ctrl_c_stops_and_keeps_the_rows(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.nii")
    engine, _ = evaluator(tmp_path, tmp_path / "out")

    @engine.on(CaseEvents.CASE_COMPLETED)
    def press(engine: CaseEvaluator) -> None:
        if engine.state.result.case == "b":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.run()
    assert list(pd.read_csv(tmp_path / "out" / "report" / "cases.csv").case) == ["a", "b"]
    assert not mask_path(tmp_path / "out", "c").exists()


def test_killed_run_is_taken_up_again(tmp_path: Path) -> None:
    """A kill -9 while the second mask is being written: a hidden half at most, which the next run replaces."""
    for name in "abc":
        save(tmp_path / f"{name}.nii.gz")
    script = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import nibabel as nib
from tests.engines.test_case_evaluator import run
write = nib.save
def killed_half_way(image, path):
    if "b_seg" in Path(path).name:
        Path(path).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    write(image, path)
nib.save = killed_half_way
run(Path({str(tmp_path)!r}), Path({str(tmp_path / "out")!r}))
"""
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*.nii.gz")) == ["a_seg.nii.gz"]
    table = run(tmp_path, tmp_path / "out", resume=True)
    assert table.status.to_dict() == {"a": "skipped", "b": "ok", "c": "ok"}
    assert sorted(os.listdir(tmp_path / "out")) == ["a_seg.nii.gz", "b_seg.nii.gz", "c_seg.nii.gz", "report"]
