# SPDX-License-Identifier: Apache-2.0
"""A resumed or merged report holds the rows of this run's cases, with the numbers of the masks that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pranet_monai.forms import Item
from pranet_monai.forms.row_owners import RowOwners
from pranet_monai.reports import CaseResult, RunReport
from pranet_monai.storage.tables import CaseTable, Row, read_csv

from tests.reports.rows import add_case, add_failure, skip

AFFINE = np.diag([10.0, 10.0, 10.0, 1.0])  # 1 ml per voxel


def mask(ml: int, label: int = 3) -> np.ndarray:
    voxels = np.zeros(1000, np.uint8)
    voxels[:ml] = label
    return voxels.reshape(10, 10, 10)


def begin(out: Path, *cases: str | Item, label_map: str = "acdc", **more: Any) -> RunReport:
    items = [{"case": case} if isinstance(case, str) else case for case in cases]
    return RunReport(out, label_map, previews=False, items=items, **more)


def add(report: RunReport, case: str, ml: int, **more: Any) -> None:
    add_case(report, case, mask(ml), AFFINE, **more)


def add_cine(report: RunReport, case: str, *frames_ml: int, rows: str = "") -> None:
    names = [f"{rows or case}_frame{number:02d}" for number in range(1, len(frames_ml) + 1)]
    measured = [report.measurer.measure(name, mask(ml), AFFINE) for name, ml in zip(names, frames_ml, strict=True)]
    report.add(CaseResult(case, "ok", rows=measured))


def volumes(out: Path) -> dict[str, float | None]:
    return {row["case"]: row["volume_ml_left_ventricle"] for row in read_csv(out / "report" / "cases.csv")}


def test_a_row_is_of_a_case_or_a_frame_of_a_cine() -> None:
    items: list[Item] = [{"case": "p", "cine": "p (cine)"}, {"case": "p_frame01"}, {"case": "q"}]
    owners = RowOwners(items)
    names = ["p", "p (cine)_frame01", "p_frame01", "q_frame12", "q", "p_frame02", "r"]
    found = [owners.item_of(name) for name in names]
    assert [item and item["case"] for item in found] == ["p", "p", "p_frame01", "q", "q", None, None]


@pytest.mark.parametrize("knows_cases", [True, False])
def test_frames_that_are_gone_leave_no_rows(tmp_path: Path, knows_cases: bool) -> None:
    """Else an ejection fraction would be computed from frames that nobody has."""
    cases = ("q", "s", "t") if knows_cases else ()
    killed = begin(tmp_path, *cases)
    for case in ("q", "s"):
        add_cine(killed, case, 90, 60, 30)
    add_cine(killed, "t", 50, 40)
    again = begin(tmp_path, *cases, resume=True)
    add_failure(again, "q", "truncated")
    add_cine(again, "s", 80, 70)
    again.add(CaseResult("t", "skipped", rows=[again.measurer.measure(f"t_frame0{n}", mask(1)) for n in (1, 2)]))
    again.finish()
    kept = {"s_frame01": 80, "s_frame02": 70, "t_frame01": 50, "t_frame02": 40}
    assert volumes(tmp_path) == {"q": None, **kept}
    patients = {row["patient"] for row in read_csv(tmp_path / "report" / "cardiac.csv")}
    assert "q" not in patients and patients


def test_a_cine_does_not_take_the_rows_of_files_named_as_its_frames(tmp_path: Path) -> None:
    items: list[Item] = [{"case": "p", "cine": "p (cine)"}, {"case": "p_frame01"}]
    killed = begin(tmp_path, *items)
    add_cine(killed, "p", 90, 30, rows="p (cine)")
    add(killed, "p_frame01", 77)
    again = begin(tmp_path, *items, resume=True)
    add_failure(again, "p", "truncated")
    skip(again, "p_frame01")
    again.finish()
    assert volumes(tmp_path) == {"p": None, "p_frame01": 77}


def test_rows_of_cases_that_are_not_of_this_run_go(tmp_path: Path) -> None:
    """Such as of an image that is there no more, of other organs, or without the row that says what became of them."""
    killed = begin(tmp_path, "a", "b", label_map="acdc")
    for case in ("a", "b"):
        add(killed, case, 10, reference=mask(10))
    again = begin(tmp_path, "a", resume=True)
    assert volumes(tmp_path) == {"a": 10}
    assert {row["case"] for row in read_csv(tmp_path / "report" / "metrics.csv")} == {"a"}
    skip(again, "a")
    assert again.finish()["summary"] is not None
    other = begin(tmp_path, "a", label_map="hippocampus", resume=True)
    add_case(other, "a", mask(5, label=1), AFFINE, reference=mask(5, label=1))
    assert set(other.finish()["summary"]["organs"]) <= set(other.label_map.organs)


@pytest.mark.parametrize("cases", [(), ("a",)])
def test_rows_of_other_organs_go(tmp_path: Path, cases: tuple[str, ...]) -> None:
    add(begin(tmp_path, *cases), "a", 10, reference=mask(10))
    report = begin(tmp_path, *cases, label_map="hippocampus", resume=True)
    assert report.finish()["cases"] == {"ok": 0, "failed": 0, "skipped": 0}


def test_a_shard_that_kept_its_own_numbers_tells_them(tmp_path: Path) -> None:
    """The whole report may have none of this case, or those of a former mask."""
    first = begin(tmp_path, shard="1/1")
    add_failure(first, "failed", "no room")
    add(first, "remade", 1, reference=mask(1))
    first.finish()
    RunReport.of_shards(tmp_path).finish()
    second = begin(tmp_path, shard="1/1", resume=True)
    add(second, "failed", 7)
    add(second, "remade", 999, reference=mask(999))
    second.finish()
    third = begin(tmp_path, shard="1/1", resume=True)
    for case in ("failed", "remade"):
        skip(third, case)
    third.finish()
    RunReport.of_shards(tmp_path).finish()
    assert volumes(tmp_path) == {"failed": 7, "remade": 999}
    metrics = read_csv(tmp_path / "report" / "metrics.csv")
    assert [row["volume_ml"] for row in metrics if row["organ"] == "left_ventricle"] == [999]


def test_a_case_that_ends_while_shards_are_merged_has_its_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = begin(tmp_path, shard="1/1")
    add(shard, "a", 1, reference=mask(1))

    class Late(CaseTable):
        """Between the reading of a shard's two tables, another case ends."""

        def __init__(self, path: Path, columns: list[str]) -> None:
            super().__init__(path, columns)
            if path.parent == shard.folder and "b" not in shard._cases:
                add(shard, "b", 2, reference=mask(2))

    def late(path: Path) -> list[Row]:
        rows = read_csv(path)
        if path.parent == shard.folder and "b" not in shard._cases:
            add(shard, "b", 2, reference=mask(2))
        return rows

    monkeypatch.setattr("pranet_monai.reports.run_report.CaseTable", Late)
    monkeypatch.setattr("pranet_monai.reports.run_report.read_csv", late)
    RunReport.of_shards(tmp_path).finish()
    tables = {name: read_csv(tmp_path / "report" / f"{name}.csv") for name in ("cases", "metrics")}
    assert {row["case"] for row in tables["cases"]} <= {row["case"] for row in tables["metrics"]}
