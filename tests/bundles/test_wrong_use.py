# SPDX-License-Identifier: Apache-2.0
"""Wrong use and signals through both doors: one line on stderr, no traceback, a former run is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow
from pranet_monai.__main__ import main
from pranet_monai.apps import endings
from pranet_monai.storage.tables import read_csv

from .conftest import SMALLEST

FORMER = "case,status,reason,seconds\na,ok,,1.0\n"
WRONG: list[tuple[str, Any, str]] = [
    ("device", "nonsense", "device nonsense: found no such device"),
    ("device", "cuda:99", "device cuda:99: found no such device"),
    ("device", "meta", "device meta: found no such device"),
    ("cases#labels", "maybe", "labels='maybe': allowed are 'none', 'optional', 'required'"),
    ("cases#label_dir", "", "label_dir: found an empty path"),
    ("inferer#tta", [[5]], "must list mirrorings"),
    ("inferer#sw_batch_size", 0, "sw_batch_size=0 must be 1 or more"),
    ("inferer#overlap", "much", "SliceVolumeInferer: can't be made of what it is given (TypeError: "),
    ("inferer#output", "logits", "inferer#output 'logits': found nothing that makes masks of logits"),
    ("resume", "maybe", "resume 'maybe': allowed: True or False"),
    ("resume", "false", "resume 'false': allowed: True or False"),
    ("quiet", 2, "quiet 2: allowed: True or False"),
    ("workers", -1, "workers -1: allowed: 0 or more processes"),
    ("workers", "many", "workers 'many': allowed: 0 or more processes"),
    ("save_probabilities", "no", "save_probabilities 'no': allowed: True or False"),
    ("precision", "half", "precision 'half': allowed: fp32 or bf16"),
    ("runtime", "quick", "--runtime quick: found no runtime of this name; allowed: auto, torch, compile, onnx"),
    ("runtime", "nowhere/acdc.onnx", "--runtime nowhere/acdc.onnx: found no such file; fix: pranet-monai export"),
    ("dataset_dir", "", "dataset_dir: found an empty path; allowed: a folder, . for the current one"),
    ("output_dir", " ", "output_dir: found an empty path"),
    (
        "output_dir",
        2024,
        "output_dir 2024: found something that is not a path; allowed: a folder, ./2024 for one of this name",
    ),
]


def volumes(folder: Path, number: int) -> Path:
    folder.mkdir()
    for index in range(number):
        nib.save(nib.Nifti1Image(np.full((40, 36, 2), index, np.int16), np.eye(4)), folder / f"case{index:02}.nii.gz")
    return folder


def through_monai(options: dict[str, Any]) -> int:
    """As ``python -m monai.bundle run`` in this process: what would end it in a traceback goes through our hook."""
    with pytest.raises(SystemExit) as ended:
        try:
            config = str(SMALLEST / "configs" / "inference.json")
            workflow = ConfigWorkflow(config, workflow_type="inference", logging_file=False, **options)
            workflow.initialize()
            workflow.run()
        except Exception as error:  # noqa: BLE001 - the hook gets whatever it is
            endings._excepthook(sys.__excepthook__, type(error), error, error.__traceback__)
    return int(ended.value.code or 0)


def through_segment(options: dict[str, Any]) -> int:
    changes = [part for id, value in options.items() for part in ("--set", f"{id}={value}")]
    return main(["segment", "in", "out", "--bundle", str(SMALLEST), *changes])


@pytest.mark.parametrize(("id", "value", "message"), WRONG)
@pytest.mark.parametrize("door", ["monai", "segment"])
def test_wrong_use_is_one_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], door: str, id: str, value: Any, message: str
) -> None:
    former = tmp_path / "out" / "report" / "cases.csv"
    former.parent.mkdir(parents=True)
    former.write_text(FORMER)
    options = {"dataset_dir": str(volumes(tmp_path / "in", 1)), "output_dir": str(tmp_path / "out")}
    if door == "monai":
        code = through_monai({"bundle_root": str(SMALLEST), **options, id: value})
    else:
        code = through_segment({**options, id: value})
    said = capsys.readouterr().err
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1 and message in said
    assert former.read_text() == FORMER and not list(tmp_path.glob("out/*_seg*"))


def test_reviews_saved_with_semicolons_are_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else each case would fail with it, and the report at the end."""
    table = tmp_path / "out" / "report" / "review.csv"
    table.parent.mkdir(parents=True)
    table.write_text("case;verdict;comment\ncase00;rejected;x\n")
    options = {"dataset_dir": str(volumes(tmp_path / "in", 1)), "output_dir": str(tmp_path / "out")}
    assert through_segment({**options, "resume": "True"}) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {table}: found the columns case;verdict;comment") and said.count("\n") == 1


def test_monais_command_refuses_in_one_line(tmp_path: Path) -> None:
    """The real command, with what MONAI itself makes before anything of ours runs."""
    command = [*MONAI, "--dataset_dir", str(volumes(tmp_path / "in", 1)), "--output_dir", str(tmp_path / "out")]
    done = subprocess.run([*command, "--inferer#tta", "[[5]]"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and done.stderr.splitlines()[-1].startswith("error: tta=[(5,)] must list")


CONFIG = ["--config_file", str(SMALLEST / "configs" / "inference.json"), "--bundle_root", str(SMALLEST)]
MONAI = [sys.executable, "-m", "monai.bundle", "run", *CONFIG]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("door", "number", "code"),
    [
        ("monai", signal.SIGINT, 130),
        ("segment", signal.SIGTERM, 143),
        pytest.param("monai", signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param("ray", signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param("ray", signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_says_how_to_go_on(tmp_path: Path, door: str, number: int, code: int) -> None:
    if door == "ray":
        pytest.importorskip("ray", reason="Ray has no wheel for this Python")
    data, output = volumes(tmp_path / "in", 60), tmp_path / "out"
    ours = [sys.executable, "-m", "pranet_monai", "segment", str(data), str(output), "--bundle", str(SMALLEST)]
    monai = [*MONAI, "--dataset_dir", str(data), "--output_dir", str(output)]
    ray = [*ours, "--engine", "ray", "--workers", "1"]
    command = {"segment": ours, "monai": monai, "ray": ray}[door]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        # a run that doesn't end, or a worker of it, fails the test instead of holding all tests up
        guard = threading.Timer(180, lambda: os.killpg(process.pid, signal.SIGKILL))
        guard.start()
        deadline, table = time.monotonic() + 120, output / "report" / "cases.csv"
        while not read_csv(table) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read()
        guard.cancel()
    option = "--resume True" if door == "monai" else "--resume"
    assert process.returncode == code, said
    assert said.splitlines()[-1] == f"stopped: finished cases are kept; to continue, run the same command with {option}"
    assert "Traceback" not in said and "terminating" not in said
    rows = read_csv(table)
    assert 0 < len(rows) < 60 and {row["status"] for row in rows} == {"ok"}
    assert not list(output.rglob(".partial*"))
