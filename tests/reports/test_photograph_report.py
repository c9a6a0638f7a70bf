# SPDX-License-Identifier: Apache-2.0
"""Photographs in the report: pixels instead of millimetres, rows down and columns to the right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pranet_monai.errors import BadCaseError
from pranet_monai.reports import PhotographReport
from pranet_monai.storage.tables import read_csv

EXPERT = np.zeros((60, 100), np.uint8)
EXPERT[5:25, 60:90] = 1


@pytest.fixture
def report(tmp_path: Path) -> PhotographReport:
    return PhotographReport(tmp_path, "polyp")


def test_rows_hold_pixels_and_the_polyp_metrics(report: PhotographReport, tmp_path: Path) -> None:
    probability = np.where(EXPERT, 0.5, 0.4)  # at the threshold: inside
    report.add_case("ward/a", probability, reference=EXPERT, seconds=0.5)
    report.add_case("edge", np.eye(4), reference=None)
    report.add_case("nothing", np.zeros((4, 4)), reference=np.zeros((4, 4), np.uint8))
    report.add_failure("bad", "broken")
    done = report.finish({"device": "cpu"})
    cases = {row["case"]: row for row in read_csv(tmp_path / "report" / "cases.csv")}
    assert cases["ward/a"]["pixels_polyp"] == 600 and not cases["ward/a"]["touches_border_polyp"]
    assert cases["edge"]["pixels_polyp"] == 4 and cases["edge"]["touches_border_polyp"]
    (row,) = [row for row in read_csv(tmp_path / "report" / "metrics.csv") if row["case"] == "ward/a"]
    assert row["dice"] == row["iou"] == row["specificity"] == 1
    assert row["mae"] == pytest.approx(np.abs(probability - EXPERT).mean())
    assert row["reference_pixels"] == 600
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert summary["organs"]["polyp"]["n"] == summary["with_polyp"]["n"] == 1
    assert summary["without_polyp"]["image_specificity"]["mean"] == 1
    assert done["cases"] == {"ok": 3, "failed": 1, "skipped": 0} and report.exit_code == 1
    assert (
        "mm" not in (tmp_path / "report" / "cases.csv").read_text() + (tmp_path / "report" / "metrics.csv").read_text()
    )


def test_label_of_another_size_is_refused(report: PhotographReport) -> None:
    with pytest.raises(BadCaseError, match=r"\(60, 100\) pixels, its label \(100, 60\)"):
        report.add_case("a", np.zeros((60, 100)), reference=EXPERT.T)


def test_preview_shows_the_image_as_it_lies(report: PhotographReport) -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[EXPERT == 1] = (250, 40, 40)
    report.add_case("a", EXPERT * 0.0, image=image, reference=EXPERT)
    picture = np.asarray(Image.open(report.preview_path("a")).convert("RGB")).astype(int)
    red = (picture[..., 0] > 150) & (picture[..., 1] < 100)
    rows, columns = np.nonzero(red)
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(30 / 20, rel=0.15), "neither turned nor stretched"


def test_mask_of_an_earlier_run_is_measured_again(report: PhotographReport, tmp_path: Path) -> None:
    Image.fromarray(EXPERT * 255).save(tmp_path / "a_seg.png")
    report.skip("a", tmp_path / "a_seg.png")
    (row,) = read_csv(tmp_path / "report" / "cases.csv")
    assert (row["status"], row["pixels_polyp"]) == ("skipped", 600)
