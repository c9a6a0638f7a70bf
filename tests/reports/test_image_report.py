# SPDX-License-Identifier: Apache-2.0
"""RGB images in the report: pixels instead of millimetres, rows down and columns to the right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.reports import RunReport, VolumeKind, create_kind
from pranet_monai.storage.tables import read_csv

from tests.reports.rows import add_case, add_failure

REFERENCE = np.zeros((60, 100), np.uint8)
REFERENCE[5:25, 60:90] = 1


@pytest.fixture
def report(tmp_path: Path) -> RunReport:
    return RunReport(tmp_path, "polyp", kind="image")


def test_rows_hold_pixels_and_the_polyp_metrics(report: RunReport, tmp_path: Path) -> None:
    probability = np.where(REFERENCE, 0.5, 0.4)  # at the threshold: inside
    add_case(report, "ward/a", probability, reference=REFERENCE, seconds=0.5)
    add_case(report, "edge", np.eye(4), reference=None)
    add_case(report, "nothing", np.zeros((4, 4)), reference=np.zeros((4, 4), np.uint8))
    add_failure(report, "bad", "broken")
    done = report.finish({"device": "cpu"})
    cases = {row["case"]: row for row in read_csv(tmp_path / "report" / "cases.csv")}
    assert cases["ward/a"]["pixels_polyp"] == 600 and not cases["ward/a"]["touches_border_polyp"]
    assert cases["edge"]["pixels_polyp"] == 4 and cases["edge"]["touches_border_polyp"]
    (row,) = [row for row in read_csv(tmp_path / "report" / "metrics.csv") if row["case"] == "ward/a"]
    assert row["dice"] == row["iou"] == row["specificity"] == 1
    assert row["mae"] == pytest.approx(np.abs(probability - REFERENCE).mean())
    assert row["reference_pixels"] == 600
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert summary["organs"]["polyp"]["n"] == summary["with_polyp"]["n"] == 1
    assert summary["without_polyp"]["image_specificity"]["mean"] == 1
    assert done["cases"] == {"ok": 3, "failed": 1, "skipped": 0} and report.exit_code == 1
    assert (
        "mm" not in (tmp_path / "report" / "cases.csv").read_text() + (tmp_path / "report" / "metrics.csv").read_text()
    )


def test_label_of_another_size_is_refused(report: RunReport) -> None:
    with pytest.raises(BadCaseError, match=r"\(60, 100\) pixels, its label \(100, 60\)"):
        add_case(report, "a", np.zeros((60, 100)), reference=REFERENCE.T)


def test_preview_shows_the_image_as_it_lies(report: RunReport) -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[REFERENCE == 1] = (250, 40, 40)
    add_case(report, "a", REFERENCE * 0.0, image=image, reference=REFERENCE)
    picture = np.asarray(Image.open(report.paths.preview("a")).convert("RGB")).astype(int)
    red = (picture[..., 0] > 150) & (picture[..., 1] < 100)
    rows, columns = np.nonzero(red)
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(30 / 20, rel=0.15), "neither turned nor stretched"


@pytest.mark.parametrize("option", ["protocol", "tolerance_mm", "missed", "definition"])
def test_options_of_volumes_are_refused(option: str) -> None:
    with pytest.raises(UsageError, match=f"{option}: has no meaning for the kind 'image'; its options: none"):
        create_kind("image", **{option: "paper"})


def test_kinds_by_name() -> None:
    assert isinstance(create_kind("volume", tolerance_mm=1.0), VolumeKind)
    with pytest.raises(UsageError, match="kind='video': allowed are 'volume', 'image'"):
        create_kind("video")
    for tolerance in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=f"tolerance_mm={tolerance}: allowed: 0 mm or more"):
            create_kind("volume", tolerance_mm=tolerance)
    with pytest.raises(UsageError, match="tolerance: has no meaning .* definition, tolerance_mm, missed, protocol"):
        create_kind("volume", tolerance=1.0)
