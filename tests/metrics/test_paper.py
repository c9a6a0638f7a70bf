# SPDX-License-Identifier: Apache-2.0
"""The papers' protocol against the recorded numbers of the originals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pranet_monai.metrics.paper import paper_case_metrics, paper_volume_metrics, summarise_paper

from .blobs import label_pair

GOLDEN = Path(__file__).parents[1] / "golden"
RECORDED = json.loads((GOLDEN / "metrics.json").read_text())


@pytest.mark.parametrize("case", list(RECORDED["volume"]))
def test_recorded_volume_metrics(case: str) -> None:
    with np.load(GOLDEN / "metrics_volume.npz") as arrays:
        prediction = arrays["pred"] & (case in ("both", "pred_only"))
        reference = arrays["gt"] & (case in ("both", "gt_only"))
    values = list(paper_volume_metrics(prediction, reference).values())
    assert values == pytest.approx(RECORDED["volume"][case]["metric"], abs=1e-12)


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
