# SPDX-License-Identifier: Apache-2.0
"""A disk that is full at any moment: one sentence, exit code 1, every finished row kept; with room, resume goes on."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pranet_monai.reports import RunReport
from pranet_monai.storage.tables import read_csv

from tests.reports.rows import add_case
from tests.reports.test_page import AFFINE, volume

from .patients import check_whole, outcome, write_patients
from .runs import segment

PAGE_BYTES = 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting a small file system isn't allowed here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], int]:
    """The data, the outcome of an undisturbed run, and the room that it takes."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_patients(folder / "data", 4)
    segment(data, folder / "out", folder / "model.pt")
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    room = sum(-(-path.stat().st_size // PAGE_BYTES) * PAGE_BYTES for path in files)
    return data, outcome(folder / "out"), room


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.8, 0.95])
def test_full_disk(share: float, disk: Path, whole: tuple[Path, dict[str, object], int]) -> None:
    data, undisturbed, room = whole
    weights = data.parent / "model.pt"
    resize(disk, max(PAGE_BYTES * 2, int(room * share) // PAGE_BYTES * PAGE_BYTES))
    code, said = segment(data, disk / "out", weights)
    assert code == 1, said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "No space left on device" in errors[0], said
    assert "Traceback" not in said
    check_whole(disk / "out")
    kept = set(outcome(disk / "out")["cases"])  # type: ignore[call-overload]
    resize(disk, 64 * room)
    assert segment(data, disk / "out", weights, "acdc", "--resume")[0] == 1  # of the bad file
    found = outcome(disk / "out")
    assert found == undisturbed and kept <= set(found["cases"])  # type: ignore[call-overload]


def fill(disk: Path) -> Path:
    """A file that takes all the room that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(PAGE_BYTES))
    return filler


def test_disk_that_gets_full_at_the_end_costs_the_page_and_no_row(disk: Path) -> None:
    """Between the last case and the page: by then the run has nothing else to lose."""
    resize(disk, 4 << 20)
    report = RunReport(disk / "out", "acdc", previews=False)
    for number in range(20):
        add_case(report, f"case{number}", volume(1, 2, 3), AFFINE, reference=volume(1, 2, 3))
    tables = {path: path.read_bytes() for path in (report.paths.cases_table, report.paths.metrics_table)}
    filler = fill(disk)
    unwritten = report.finish()["unwritten"]
    assert {name.partition(" ")[0] for name in unwritten} == {"summary.json", "index.html", "run.json"}
    assert all("No space left on device" in name for name in unwritten)
    assert {path: path.read_bytes() for path in tables} == tables
    assert set((disk / "out").rglob("*.*")) == set(tables), "no half page, no lock"
    filler.unlink()
    again = RunReport(disk / "out", "acdc", previews=False, resume=True)
    assert again.finish()["unwritten"] == [] and len(read_csv(report.paths.cases_table)) == 20
    assert (disk / "out" / "report" / "index.html").is_file()
