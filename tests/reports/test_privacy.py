# SPDX-License-Identifier: Apache-2.0
"""No report tells where things lie on the machine that made it, or whose machine that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pranet_monai.reports import RunReport, privacy
from pranet_monai.reports.privacy import Privacy

from .rows import add_case, add_failure


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setenv("USERPROFILE", "/home/alice")
    monkeypatch.setattr(privacy.getpass, "getuser", lambda: "alice")
    monkeypatch.setattr(privacy.socket, "gethostname", lambda: "ward7")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/ct/a/x.nii.gz: found 3 bytes", "a/x.nii.gz: found 3 bytes"),
        ("[Errno 2] No such file: '/data/ct/x.nii'", "[Errno 2] No such file: 'x.nii'"),
        ("found no label in /data/ct", "found no label in ct"),
        ("/data/ct2/x.nii and /old/data/ct/x.nii", "/data/ct2/x.nii and /old/data/ct/x.nii"),
        ("--dataset_dir=/data/ct/ --labels ../labels/b", "--dataset_dir=ct --labels b"),
        ("~/out/report and /home/alice/out/x.csv", "report and x.csv"),
        ("/home/alice/venv/bin /home/alice", "~/venv/bin ~"),
        ("/home/alicea/x", "/home/alicea/x"),
        ("/scratch/alice/x, /net/ward7/alice", "/scratch/USER/x, /net/HOST/USER"),
        ("alice in ward7, 3/4 and -1.5", "alice in ward7, 3/4 and -1.5"),
    ],
)
def test_texts(machine: None, text: str, expected: str) -> None:
    assert Privacy(["/data/ct", "~/out", "../labels", None, ".", "/"])(text) == expected


def test_texts_inside_of_other_values(machine: None) -> None:
    value = {"a": ["/data/ct/x", 3, None], "b": Path("/home/alice/x"), "c": True, "d": {"e": ("/data/ct", 0.5)}}
    expected = {"a": ["x", 3, None], "b": "~/x", "c": True, "d": {"e": ["ct", 0.5]}}
    assert Privacy(["/data/ct"])(value) == expected


def test_a_report_names_no_folder_of_the_machine(
    machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, labels = tmp_path / "images", tmp_path / "references"
    argv: list[Any] = [
        "/home/alice/venv/bin/python",
        "-m",
        "x",
        "--dataset_dir",
        str(data),
        "--config",
        "/home/alice/c",
    ]
    monkeypatch.setattr("sys.orig_argv", argv)
    report = RunReport(tmp_path / "out", "acdc", previews=False, dataset_dir=data, given=[labels, None])
    add_case(report, "a", np.zeros((4, 4, 4), np.uint8), np.eye(4))
    add_failure(report, "b", f"{data}/b.nii: found nothing; its label {labels}/b.nii, see {tmp_path}/out/b")
    report.finish({"options": {"labels": labels, "images": "/home/alice/images"}})
    files = [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".csv", ".json", ".html")]
    assert len(files) >= 3
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert str(tmp_path) not in text and "alice" not in text and "ward7" not in text, path
    assert "b.nii: found nothing; its label b.nii, see b" in (tmp_path / "out" / "report" / "cases.csv").read_text()
    assert "python -m x --dataset_dir images --config" in (tmp_path / "out" / "report" / "run.json").read_text()
