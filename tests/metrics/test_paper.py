# SPDX-License-Identifier: Apache-2.0
"""The papers' protocol against the recorded numbers of the originals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pranet_monai.metrics.paper import (
    paper_case_metrics,
    paper_grey_map,
    paper_polyp_metrics,
    paper_volume_metrics,
    summarise_paper,
)

from .blobs import label_pair

GOLDEN = Path(__file__).parents[1] / "golden"
RECORDED = json.loads((GOLDEN / "metrics.json").read_text())
POLYP_NAMES = {
    "meanDic": "paper_mean_dice",
    "meanIoU": "paper_mean_iou",
    "wFm": "paper_weighted_f",
    "Sm": "paper_s_measure",
    "meanEm": "paper_mean_e",
    "mae": "paper_mae",
}


@pytest.mark.parametrize("case", list(RECORDED["volume"]))
def test_recorded_volume_metrics(case: str) -> None:
    with np.load(GOLDEN / "metrics_volume.npz") as arrays:
        prediction = arrays["pred"] & (case in ("both", "pred_only"))
        reference = arrays["gt"] & (case in ("both", "gt_only"))
    values = list(paper_volume_metrics(prediction, reference).values())
    assert values == pytest.approx(RECORDED["volume"][case]["metric"], abs=1e-12)


@pytest.mark.parametrize("case", list(RECORDED["polyp"]))
def test_recorded_polyp_metrics(case: str) -> None:
    with np.load(GOLDEN / f"metrics_polyp_{case}.npz") as arrays:
        values = paper_polyp_metrics(arrays["pred"], arrays["gt"])
    expected = {POLYP_NAMES[name]: value for name, value in RECORDED["polyp"][case]["values"].items()}
    assert values == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_case_rows_and_their_averages() -> None:
    organs = {"one": (1,), "two or three": (2, 3)}
    rows = []
    for seed in (0, 1):
        prediction, reference = label_pair(seed)
        if seed:
            prediction[prediction == 1] = 0
        rows += [{"case": seed, **row} for row in paper_case_metrics(prediction, reference, organs)]
        masks = np.isin(prediction, (2, 3)), np.isin(reference, (2, 3))
        assert rows[-1] == {"case": seed, "organ": "two or three", **paper_volume_metrics(*masks)}
    summary = summarise_paper(rows)
    assert summary["organs"]["one"]["paper_hd95_voxels"] == rows[0]["paper_hd95_voxels"] / 2  # the missed one counts 0
    assert summary["overall"]["paper_dice"] == pytest.approx(np.mean([row["paper_dice"] for row in rows]))


def test_undefined_averages_are_none() -> None:
    rows = [{"organ": "polyp", "paper_weighted_f": np.nan}, {"organ": "polyp", "paper_weighted_f": 0.5}]
    assert summarise_paper(rows)["overall"] == {"paper_weighted_f": None}
    assert summarise_paper([]) == {"organs": {}, "overall": {}}


def test_probabilities_are_stretched_and_cut() -> None:
    probability = np.array([[0.125, 0.25, 0.375, 0.625]])
    assert paper_grey_map(probability).tolist() == [[0, 63, 127, 255]]  # of 0, 63.75, 127.5, 255
    assert paper_grey_map(np.full((2, 2), 0.7)).tolist() == [[0, 0], [0, 0]]
    mask = np.array([[0, 0, 1, 1]], bool)
    assert paper_polyp_metrics(probability, mask) == paper_polyp_metrics(paper_grey_map(probability), mask)
    assert paper_polyp_metrics(probability, mask)["paper_mae"] == pytest.approx((63 + 128) / 255 / 4)
