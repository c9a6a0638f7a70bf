# SPDX-License-Identifier: Apache-2.0
"""What is expected without a reference stands in the table, and the page begins with the cases to look at first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pranet_monai.reports import CaseResult, RunReport
from pranet_monai.storage.tables import read_csv

from .rows import add_case
from .test_page import AFFINE, Page, volume


def add_judged(report: RunReport, name: str, expected: dict[str, float | None], review: bool) -> None:
    row = report.measurer.measure(name, volume(1, 2, 3), AFFINE).judged(expected, review)
    report.add(CaseResult(name, "ok", rows=[row]))


def judged_report(folder: Path, **options: object) -> RunReport:
    report = RunReport(folder, "acdc", previews=False, expects_dice=True, **options)  # type: ignore[arg-type]
    add_judged(report, "good", {"right_ventricle": 0.9, "myocardium": 0.85, "left_ventricle": 0.95}, False)
    add_judged(report, "poor", {"right_ventricle": 0.4, "myocardium": 0.85, "left_ventricle": None}, True)
    return report


def test_table_has_a_column_per_organ_and_one_for_the_case(tmp_path: Path) -> None:
    judged_report(tmp_path).finish()
    good, poor = read_csv(tmp_path / "report" / "cases.csv")
    assert list(good)[:8] == [
        *("case", "status", "reason", "remark", "seconds", "network_seconds", "review"),
        "expected_dice_right_ventricle",
    ]
    assert (good["expected_dice_left_ventricle"], poor["expected_dice_left_ventricle"]) == (0.95, None)
    assert (good["review"], poor["review"]) == (False, True)


def test_resume_keeps_what_was_expected(tmp_path: Path) -> None:
    judged_report(tmp_path).finish()
    before = read_csv(tmp_path / "report" / "cases.csv")
    report = RunReport(tmp_path, "acdc", previews=False, expects_dice=True, resume=True)
    add_judged(report, "new", {"right_ventricle": 0.5, "myocardium": 0.5, "left_ventricle": 0.5}, True)
    report.finish()
    assert read_csv(tmp_path / "report" / "cases.csv")[:2] == before


def test_without_a_calibration_there_are_no_columns(tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", previews=False)
    add_case(report, "a", volume(1), AFFINE)
    report.finish()
    (row,) = read_csv(tmp_path / "report" / "cases.csv")
    assert not [column for column in row if "expected" in column or column == "review"]
    page = Page(tmp_path / "report" / "index.html")
    assert [measure["key"] for measure in page.data["measures"]] == ["volume_ml"] and "reviewed" not in page.text


def test_page_orders_by_it_where_there_is_no_reference(tmp_path: Path) -> None:
    """The script sorts by the mean of the first measure that has a better side, the worst first."""
    judged_report(tmp_path).finish()
    page = Page(tmp_path / "report" / "index.html")
    first = page.data["measures"][0]
    assert (first["key"], first["higher_is_better"]) == ("expected_dice", True)
    np.testing.assert_allclose(page.data["values"]["expected_dice"]["mean"], [0.9, 0.625], atol=1e-4)
    assert page.data["flags"][""] == {"review": [1]}
    assert page.all("option", value="review") and "1 of 2" in page.text


def test_references_come_first(tmp_path: Path) -> None:
    report = judged_report(tmp_path)
    measured = report.measurer.measure("known", volume(1), AFFINE, None, volume(1))
    report.add(CaseResult("known", "ok", rows=[measured]))
    report.finish()
    keys = [measure["key"] for measure in Page(tmp_path / "report" / "index.html").data["measures"]]
    assert keys[0] == "dice" and keys[-2:] == ["expected_dice", "volume_ml"]
