# SPDX-License-Identifier: Apache-2.0
"""Scores of a model card are those of the evaluation's files, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from pranet_monai.apps.model_card import eval_metrics, fill_scores, large_files, scores_table
from pranet_monai.errors import UsageError
from pranet_monai.metrics.summary import summarise
from pranet_monai.reports.definitions import definitions

ROWS = [
    {"case": case, "organ": "left_ventricle", "dice": dice, "iou": dice, "hd95_mm": hd, "assd_mm": hd, "nsd": dice}
    | status
    for case, dice, hd, status in [("a", 0.8, 2.0, {"status": "ok"}), ("b", 0.6, 4.0, {"status": "missed"})]
]
OTHERS = [row | {"organ": "myocardium", "dice": row["dice"] - 0.2} for row in ROWS]
SHARES = [("a", 0.8), ("b", 0.6)]
CARD = "# Card\n<!-- scores: validation/summary.json -->\nold\n<!-- end of scores -->\nend\n"


def _bundle(tmp_path: Path, with_scores: bool = True) -> Path:
    docs = tmp_path / "docs"
    (docs / "validation").mkdir(parents=True)
    (docs / "README.md").write_text(CARD)
    if with_scores:
        (docs / "validation" / "summary.json").write_text(json.dumps(summarise(ROWS)))
    return tmp_path


def test_table_by_hand() -> None:
    head, _, organ, other, mean = (
        scores_table(summarise([*ROWS, *OTHERS])).replace("\N{NO-BREAK SPACE}", "~").splitlines()
    )
    assert head == "| organ | Dice | HD95 (mm) | ASSD (mm) | NSD | cases | missed | false positive |"
    # mean of 0.8 and 0.6, sample sd sqrt(0.02) = 0.141; the bootstrap of two values reaches both ends
    assert organ.startswith("| left ventricle | 0.700~±~0.141 [0.600,~0.800] | 3.00~±~1.41 [2.00,~4.00] |")
    assert organ.endswith("| 2 | 1 | 0 |")
    assert other.startswith("| myocardium | 0.500~±~0.141")
    assert mean.startswith("| **mean of organs** | 0.600~±~0.141")


def test_table_of_images() -> None:
    """One finding needs no mean over organs, an image has no millimetres."""
    names = ("dice", "iou", "weighted_f", "mae")
    rows = [{"case": case, "organ": "polyp", "status": "ok"} | dict.fromkeys(names, value) for case, value in SHARES]
    summary = summarise(rows, metrics=names)
    head, _, polyp = scores_table(summary).replace("\N{NO-BREAK SPACE}", "~").splitlines()
    assert head == "| organ | Dice | IoU | weighted F | MAE | cases | missed | false positive |"
    assert polyp == "| polyp |" + " 0.700~±~0.141 [0.600,~0.800] |" * 4 + " 2 | 0 | 0 |"


def test_card_is_filled_between_the_markers(tmp_path: Path) -> None:
    text = fill_scores(_bundle(tmp_path) / "docs" / "README.md")
    assert text.startswith("# Card\n<!-- scores: validation/summary.json -->\n| organ |")
    assert text.endswith("<!-- end of scores -->\nend\n")
    assert "old" not in text


def test_table_is_explained_by_the_evaluation_itself(tmp_path: Path) -> None:
    """Whoever measured with the other HD95 or another tolerance must not read of medpy's or of 2 mm."""
    folder = _bundle(tmp_path)
    summary = {"definitions": definitions("max", 3.5, "nan"), **summarise(ROWS)}
    (folder / "docs" / "validation" / "summary.json").write_text(json.dumps(summary))
    text = fill_scores(folder / "docs" / "README.md")
    assert "over 2 cases" in text
    assert "[case by case](validation/metrics.csv), [all definitions](validation/summary.json)" in text
    assert "HD95: max: the larger of the two directed" in text
    assert "within 3.5 mm" in text
    assert "undefined" in text


def test_no_scores_without_an_evaluation(tmp_path: Path) -> None:
    folder = _bundle(tmp_path, with_scores=False)
    assert "No weights yet" in fill_scores(folder / "docs" / "README.md")
    assert eval_metrics(folder) == {}
    with pytest.raises(UsageError, match="needs a model card"):
        fill_scores(folder / "README.md")


def test_metadata_scores(tmp_path: Path) -> None:
    scores = eval_metrics(_bundle(tmp_path))
    assert scores == {"dice_mean": 0.7, "hd95_mm_mean": 3.0, "dice_left_ventricle": 0.7, "hd95_mm_left_ventricle": 3.0}


def test_weights_are_listed_by_hash(tmp_path: Path) -> None:
    assert large_files(tmp_path) is None
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.pt").write_bytes(b"weights")
    expected = hashlib.sha256(b"weights").hexdigest()
    assert large_files(tmp_path) == {
        "large_files": [{"path": "models/model.pt", "hash_val": expected, "hash_type": "sha256"}]
    }


def test_metadata_scores_of_images(tmp_path: Path) -> None:
    rows = [{"case": case, "organ": "polyp", "status": "ok", "dice": value, "iou": value} for case, value in SHARES]
    (tmp_path / "docs" / "validation").mkdir(parents=True)
    summary = summarise(rows, metrics=("dice", "iou"))
    (tmp_path / "docs" / "validation" / "summary.json").write_text(json.dumps(summary))
    assert eval_metrics(tmp_path) == {"dice_mean": 0.7, "iou_mean": 0.7, "dice_polyp": 0.7, "iou_polyp": 0.7}
