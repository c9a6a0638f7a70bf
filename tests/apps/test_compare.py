# SPDX-License-Identifier: Apache-2.0
"""Paired differences by hand, absent organs, and tables that don't belong together."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pranet_monai.__main__ import main
from pranet_monai.apps.compare import compare
from pranet_monai.errors import UsageError
from pranet_monai.forms.reviews import Reviews


def table(folder: Path, scores: dict[str, float], status: dict[str, str] | None = None, organ: str = "liver") -> Path:
    rows = [
        {
            "case": case,
            "organ": organ,
            "status": (status or {}).get(case, "ok"),
            "dice": dice,
            "hd95_mm": 10 * (1 - dice),
        }
        for case, dice in scores.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
    return folder


def row(result: dict, metric: str, organ: str = "liver") -> dict:
    return next(row for row in result["rows"] if (row["metric"], row["organ"]) == (metric, organ))


def exact_signed_rank(differences: list[float]) -> float:
    """Two-sided p by counting all signs of the ranks."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    observed = min(sum(ranks[np.array(differences) > 0]), sum(ranks[np.array(differences) < 0]))
    sums = [sum(rank for rank, sign in zip(ranks, signs) if sign) for signs in product((0, 1), repeat=len(ranks))]
    return min(1.0, 2 * sum(total <= observed for total in sums) / len(sums))


def test_hand_computed_differences(tmp_path: Path) -> None:
    a = table(tmp_path / "a", {"1": 0.80, "2": 0.70, "3": 0.60, "4": 0.50, "5": 0.90})
    b = table(tmp_path / "b", {"1": 0.81, "2": 0.72, "3": 0.65, "4": 0.58, "5": 0.87})
    dice = row(compare(a, b), "dice")
    assert dice["n"] == 5
    assert dice["difference"] == pytest.approx((0.01 + 0.02 + 0.05 + 0.08 - 0.03) / 5)
    assert (dice["n_b_better"], dice["n_a_better"]) == (4, 1)
    assert dice["p_wilcoxon"] == pytest.approx(exact_signed_rank([0.01, 0.02, 0.05, 0.08, -0.03]))
    assert -0.03 <= dice["ci95_low"] < dice["difference"] < dice["ci95_high"] <= 0.08
    distance = row(compare(a, b), "hd95_mm")
    assert distance["difference"] == pytest.approx(-10 * dice["difference"])
    assert (distance["n_b_better"], distance["n_a_better"]) == (4, 1)


def reject(folder: Path, *cases: str) -> None:
    """As a reviewer does, in the report ``folder`` of a run whose masks lie around it."""
    for case in cases:
        mask = folder.parent / f"{case}_seg.nii.gz"
        mask.write_bytes(b"a mask")
        Reviews(folder).put(case, "rejected", "", mask)


def test_rejected_cases_are_named_and_left_out_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = table(tmp_path / "a/report", {"1": 0.8, "2": 0.7, "3": 0.1, "4": 0.6})
    b = table(tmp_path / "b/report", {"1": 0.9, "2": 0.7, "3": 0.9, "4": 0.2})
    reject(a, "3")
    reject(b, "4", "gone")
    assert main(["compare", str(a.parent), str(b.parent)]) == 0
    said = capsys.readouterr().out
    assert (
        "rejected by a reviewer in A, compared all the same: 3\n" in said and "in B, compared all the same: 4" in said
    )
    assert row(compare(a, b), "dice")["n"] == 4
    assert main(["compare", str(a.parent), str(b.parent), "--leave-out-rejected"]) == 0
    assert "rejected by a reviewer in A, left out: 3\n" in capsys.readouterr().out
    left = row(compare(a, b, leave_out_rejected=True), "dice")
    assert left["n"] == 2 and left["difference"] == pytest.approx(0.05)
    (a.parent / "3_seg.nii.gz").write_bytes(b"a new mask, which nobody has looked at")
    assert row(compare(a, b, leave_out_rejected=True), "dice")["n"] == 3
    with pytest.raises(UsageError, match="no case in common"):
        reject(a, "1", "2", "3")
        compare(a, b, leave_out_rejected=True)


def test_equal_runs_do_not_differ(tmp_path: Path) -> None:
    a = table(tmp_path / "a", {"1": 0.8, "2": 0.7})
    dice = row(compare(a, a), "dice")
    assert (dice["difference"], dice["p_wilcoxon"], dice["ci95_low"], dice["ci95_high"]) == (0, 1, 0, 0)


def test_invented_organ_counts_against_the_side_that_invents_it(tmp_path: Path) -> None:
    a = table(tmp_path / "a", {"1": 0.8, "2": float("nan"), "3": float("nan")}, {"2": "both_empty", "3": "both_empty"})
    b = table(tmp_path / "b", {"1": 0.8, "2": 0.0, "3": float("nan")}, {"2": "false_positive", "3": "both_empty"})
    dice = row(compare(a, b), "dice")
    assert dice["n"] == 2
    assert dice["difference"] == pytest.approx(-0.5)


def test_undefined_distance_gives_no_number(tmp_path: Path) -> None:
    a = table(tmp_path / "a", {"1": 0.8, "2": 0.7})
    b = table(tmp_path / "b", {"1": 0.9, "2": -float("inf")}, {"2": "missed"})
    distance = row(compare(a, b), "hd95_mm")
    assert distance["n_undefined"] == 1
    assert "difference" not in distance


def test_overall_is_the_mean_over_the_organs_of_a_case(tmp_path: Path) -> None:
    folders = []
    for name, liver, spleen in (("a", 0.8, 0.6), ("b", 0.9, 0.9)):
        parts = [
            pd.read_csv(table(tmp_path / f"{name}{organ}", {"1": dice}, organ=organ) / "metrics.csv")
            for organ, dice in (("liver", liver), ("spleen", spleen))
        ]
        folders.append(tmp_path / name)
        folders[-1].mkdir()
        pd.concat(parts).to_csv(folders[-1] / "metrics.csv", index=False)
    overall = row(compare(*folders), "dice", "overall")
    assert (overall["mean_a"], overall["mean_b"]) == pytest.approx((0.7, 0.9))


def test_command_prints_writes_and_lists_unmatched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = table(tmp_path / "a" / "report", {"001": 0.8, "002": 0.7, "003": 0.9})
    b = table(tmp_path / "b" / "report", {"001": 0.9, "002": 0.8, "004": 0.9})
    assert main(["compare", str(a.parent), str(b), "--output", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    assert "only in A, left out: 003" in printed
    assert "only in B, left out: 004" in printed
    assert "0.750  0.850  0.100" in printed
    written = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert list(written["organ"]) == ["liver", "overall"] * 2
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["only_a"] == ["003"]


def test_names_that_look_like_no_value(tmp_path: Path) -> None:
    """Also after what a spreadsheet is kept from running by an apostrophe."""
    scores = {"NA": 0.5, "null": 0.6, "'=1": 0.7}
    a = table(tmp_path / "a", scores, organ="nan")
    b = table(tmp_path / "b", {case: dice + 0.1 for case, dice in scores.items()} | {"None": 0.9}, organ="nan")
    result = compare(a, b)
    assert result["only_a"] == [] and result["only_b"] == ["None"]
    assert row(result, "dice", "nan")["n"] == 3 and row(result, "dice", "nan")["difference"] == pytest.approx(0.1)


def test_tables_that_do_not_belong_together(tmp_path: Path) -> None:
    a = table(tmp_path / "a", {"1": 0.8})
    with pytest.raises(UsageError, match="no case in common"):
        compare(a, table(tmp_path / "b", {"2": 0.8}))
    with pytest.raises(UsageError, match="found no metrics.csv"):
        compare(a, tmp_path)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "metrics.csv").write_text("x,y\n1,2\n")
    with pytest.raises(UsageError, match="found no column case, organ, status"):
        compare(a, tmp_path / "c")
    d = table(tmp_path / "d", {"1": 0.8})
    for folder, definition in ((a, "pooled"), (d, "max")):
        (folder / "summary.json").write_text(json.dumps({"definitions": {"hd95_mm": definition}}))
    with pytest.raises(UsageError, match="define hd95_mm differently: 'pooled' and 'max'"):
        compare(a, d)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("case,organ,status,dice\n1,liver,ok,good\n", "found 'good' as dice of 1, liver; allowed: numbers"),
        ("case,organ,status,dice\n1,spleen,ok,0.9\n", "found no organ of a common case in both"),
        ("case,organ,status,score\n1,liver,ok,0.9\n", "found no metric in both; allowed: dice"),
    ],
)
def test_tables_that_cannot_be_compared_are_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, found: str
) -> None:
    a = table(tmp_path / "a", {"1": 0.8})
    (tmp_path / "b.csv").write_text(text)
    assert main(["compare", str(a), str(tmp_path / "b.csv")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and found in said


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"definitions": 3}'])
def test_a_summary_that_says_nothing_is_wrong_use(tmp_path: Path, text: str) -> None:
    a, b = table(tmp_path / "a", {"1": 0.8}), table(tmp_path / "b", {"1": 0.8})
    for folder in (a, b):
        (folder / "summary.json").write_text(text)
    with pytest.raises(UsageError, match="found no definitions of the metrics"):
        compare(a, b)
