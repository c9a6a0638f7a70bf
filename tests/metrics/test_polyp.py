# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from pranet_monai.metrics.polyp import POLYP_METRICS, polyp_metrics, summarise_polyps

POLYP = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], bool)
NONE = np.zeros_like(POLYP)
GOLDEN = Path(__file__).parents[1] / "golden"
RECORDED = json.loads((GOLDEN / "metrics.json").read_text())["polyp"]
ORIGINALS_NAMES = {
    "meanDic": "mean_dice",
    "meanIoU": "mean_iou",
    "wFm": "weighted_f",
    "Sm": "s_measure",
    "meanEm": "mean_e",
    "mae": "mae",
}


@pytest.mark.parametrize("case", list(RECORDED))
def test_recorded_by_the_originals_code(case: str) -> None:
    with np.load(GOLDEN / f"metrics_polyp_{case}.npz") as arrays:
        row = polyp_metrics(arrays["pred"] / 255, arrays["gt"])
    expected = {ORIGINALS_NAMES[name]: value for name, value in RECORDED[case]["values"].items()}
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_threshold_one_half() -> None:
    prediction = np.array([[0.9, 0.5, 0.5, 0.1], [0.49, 0.2, 0.0, 0.3]])
    row = polyp_metrics(prediction, POLYP)
    assert row["status"] == "ok"
    assert row["dice"] == pytest.approx(2 * 2 / (3 + 4))
    assert row["iou"] == pytest.approx(2 / 5)
    assert row["specificity"] == pytest.approx(3 / 4)
    assert row["mae"] == pytest.approx((0.1 + 0.5 + 0.51 + 0.8 + 0.5 + 0.1 + 0.0 + 0.3) / 8)


def test_faint_map_without_polyp_is_not_stretched_into_one() -> None:
    faint = np.linspace(0, 0.2, 8).reshape(2, 4)
    row = polyp_metrics(faint, NONE)
    assert row["status"] == "both_empty"
    assert row["specificity"] == 1
    assert math.isnan(row["dice"])


def test_summary_judges_images_without_polyp_apart() -> None:
    found, everywhere, nothing = POLYP.astype(float), np.ones(POLYP.shape), np.zeros(POLYP.shape)
    images = {
        "found": (found, POLYP),
        "missed": (nothing, POLYP),
        "clean": (nothing, NONE),
        "false_positive": (everywhere, NONE),
    }
    rows = [{"case": case, **polyp_metrics(*pair)} for case, pair in images.items()]
    summary = summarise_polyps(rows)
    with_polyp, without = summary["with_polyp"], summary["without_polyp"]
    assert (with_polyp["n"], with_polyp["n_missed"]) == (2, 1)
    assert with_polyp["dice"]["mean"] == 0.5
    assert set(POLYP_METRICS) < set(with_polyp)
    assert (without["n"], without["n_false_positive"]) == (2, 1)
    assert without["specificity"]["mean"] == 0.5
    assert without["image_specificity"]["mean"] == 0.5
    json.dumps(summary, allow_nan=False)


def test_summary_of_nothing() -> None:
    assert summarise_polyps([])["with_polyp"]["n"] == 0


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (np.full((2, 4), 255), POLYP, r"probabilities in \[0, 1\], got 255.0 to 255.0; divide 8-bit maps by 255"),
        (np.full((2, 4), np.nan), POLYP, r"probabilities in \[0, 1\]"),
        (np.zeros((2, 4, 3)), POLYP, r"one grey image \(H, W\), got shape \(2, 4, 3\)"),
        (np.zeros((2, 3)), POLYP, "one shape"),
        (np.zeros((2, 4)), POLYP * 255, "reference must be a boolean mask"),
    ],
)
def test_wrong_input(prediction: np.ndarray, reference: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        polyp_metrics(prediction, reference)
