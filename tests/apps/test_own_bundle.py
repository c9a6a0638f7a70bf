# SPDX-License-Identifier: Apache-2.0
"""What becomes of a bundle of one's own when its training ends: across file systems, and when something stops it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pranet_monai.__main__ import main
from pranet_monai.apps import training_speed
from pranet_monai.bundle_store import find_bundle
from pranet_monai.engines.case_runner import CaseRunner
from pranet_monai.reports.case_result import CaseResult
from pranet_monai.storage.hashing import file_sha256

from tests.bundles.conftest import read_json, write_labelled_volumes

QUICK = ["--epochs", "1", "--set", "val_interval=1", "--set", "num_workers=0"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle for four small volumes, never trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(training_speed, "_SECONDS", 0.5)
    write_labelled_volumes(tmp_path / "data")
    assert main(["new-bundle", "mine", "--data", "data", "--hours", "0.01", "--quiet"]) == 0
    return find_bundle("mine").folder


def by_each_case(monkeypatch: pytest.MonkeyPatch, instead: Callable[..., Any]) -> None:
    """Judging meets something at every case."""
    monkeypatch.setattr(CaseRunner, "run", instead)


@pytest.mark.slow
def test_an_output_on_another_file_system(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files can be renamed within a folder only, as between two disks."""
    (folder / "models").mkdir()
    torch.save({"former": torch.zeros(1)}, folder / "models" / "model.pt")
    former = file_sha256(folder / "models" / "model.pt")
    replace = os.replace

    def within_a_folder(source: Path, target: Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", within_a_folder)
    assert main(["train", "mine", "data", "out", *QUICK]) == 0
    assert file_sha256(tmp_path / "out" / "model_before.pt") == former
    assert file_sha256(folder / "models" / "model.pt") != former
    assert [path.name for path in (folder / "models").iterdir()] == ["model.pt"]


def test_a_judging_that_is_stopped_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bundle keeps its former weights and their scores together until the new ones have theirs."""
    scores = folder / "docs" / "validation" / "summary.json"
    assert main(["train", "mine", "data", "out", *QUICK]) == 0
    before = file_sha256(folder / "models" / "model.pt"), scores.read_bytes()
    with monkeypatch.context() as patch:

        def stopped(*_: object) -> None:
            raise KeyboardInterrupt

        by_each_case(patch, stopped)
        with pytest.raises(SystemExit) as end:
            main(["train", "mine", "data", "out", *QUICK, "--seed", "1"])
        assert end.value.code == 130
    assert before == (file_sha256(folder / "models" / "model.pt"), scores.read_bytes())
    assert main(["train", "mine", "data", "out", *QUICK, "--seed", "1", "--resume"]) == 0
    new = file_sha256(folder / "models" / "model.pt")
    assert new != before[0] == file_sha256(tmp_path / "out" / "model_before.pt")
    assert read_json(tmp_path / "out" / "validation" / "report" / "run.json")["weights"]["sha256"] == new
    assert scores.read_bytes() != before[1] and new in (folder / "docs" / "README.md").read_text()
    capsys.readouterr()
    assert main(["train", "mine", "data", "out", *QUICK, "--seed", "1", "--resume"]) == 2
    assert "fix: leave out --resume to train again" in capsys.readouterr().err


@pytest.mark.slow
def test_no_case_that_can_be_judged_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    by_each_case(monkeypatch, lambda self, case, *_: CaseResult("patient0_ED", "failed", "no light"))
    assert main(["train", "mine", "data", "out", *QUICK]) == 2
    assert "found no scores, as no case could be judged; fix: mend what" in capsys.readouterr().err
    assert [path.name for path in (folder / "models").iterdir()] == ["model_trained.pt"]
