# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pranet_monai.metrics import HIGHER_IS_BETTER, case_metrics, summarise, summary

from .blobs import label_pair

ORGANS = {"one": (1,), "two": (2,), "three": (3,)}
SPACING = (1.0, 1.5, 4.0)


def row(case: str, organ: str, dice: float, status: str = "ok", **more: float) -> dict[str, Any]:
    return {"case": case, "organ": organ, "dice": dice, "status": status, **more}


def test_hand_computed() -> None:
    rows = [
        row("a", "liver", 0.9), row("a", "spleen", 0.5),
        row("b", "liver", 0.7), row("b", "spleen", math.nan, "both_empty"),
        row("c", "liver", 0.0, "missed"), row("c", "spleen", 0.0, "false_positive"),
    ]  # fmt: skip
    summary = summarise(rows)
    assert summary["cases"] == 3
    liver, spleen, overall = summary["organs"]["liver"], summary["organs"]["spleen"], summary["overall"]
    assert (liver["n"], liver["n_missed"], liver["n_false_positive"], liver["n_both_empty"]) == (3, 1, 0, 0)
    assert liver["dice"]["mean"] == pytest.approx(1.6 / 3)
    assert liver["dice"]["sd"] == pytest.approx(np.std([0.9, 0.7, 0], ddof=1))
    assert liver["dice"]["median"] == pytest.approx(0.7)
    assert (spleen["n"], spleen["n_missed"], spleen["n_false_positive"], spleen["n_both_empty"]) == (2, 0, 1, 1)
    assert spleen["dice"]["mean"] == pytest.approx(0.25)
    assert (overall["n"], overall["n_missed"], overall["n_false_positive"], overall["n_both_empty"]) == (3, 1, 1, 1)
    assert overall["dice"]["mean"] == pytest.approx((0.7 + 0.7 + 0.0) / 3)


def test_interval_is_the_bootstrap_of_the_mean() -> None:
    values = np.random.default_rng(5).normal(0.8, 0.05, 200)
    statistics = summarise([row(str(i), "liver", value) for i, value in enumerate(values)])["organs"]["liver"]["dice"]
    half_width = 1.96 * values.std() / math.sqrt(200)  # by the central limit theorem
    assert statistics["ci95"] == pytest.approx([values.mean() - half_width, values.mean() + half_width], abs=0.0006)
    again = summarise([row(str(i), "liver", value) for i, value in enumerate(values)])["organs"]["liver"]["dice"]
    assert again == statistics


def test_one_case_has_neither_deviation_nor_interval() -> None:
    statistics = summarise([row("a", "liver", 0.9)])["organs"]["liver"]["dice"]
    assert statistics == {"mean": 0.9, "sd": None, "median": 0.9, "ci95": None, "n_undefined": 0}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_undefined_value_makes_its_means_undefined(value: float) -> None:
    rows = [row("a", "liver", 0.9, hd95_mm=3.0), row("b", "liver", 0.0, "missed", hd95_mm=value)]
    rows += [row("a", "spleen", 0.9, hd95_mm=2.0), row("b", "spleen", 0.9, hd95_mm=2.0)]
    summary = summarise(rows)
    for part in (summary["organs"]["liver"], summary["overall"]):
        assert part["hd95_mm"] == {"mean": None, "sd": None, "median": None, "ci95": None, "n_undefined": 1}
        assert part["n_missed"] == 1
    assert summary["organs"]["spleen"]["hd95_mm"]["mean"] == 2
    json.dumps(summary, allow_nan=False)


def test_rows_of_no_case() -> None:
    empty = {"n": 0, "n_missed": 0, "n_false_positive": 0, "n_both_empty": 0}
    assert summarise([]) == {"cases": 0, "organs": {}, "overall": empty}


def test_rows_read_back_from_a_table() -> None:
    rows = [row("a", "liver", 0.9), row("b", "liver", None, "both_empty"), row("c", "liver", 0.5)]  # type: ignore[arg-type]
    assert summarise(pd.DataFrame(rows))["organs"]["liver"]["dice"]["mean"] == pytest.approx(0.7)


def test_missing_columns_and_repeated_organs() -> None:
    with pytest.raises(ValueError, match="need case, organ, status; not found: case"):
        summarise([{"organ": "liver", "status": "ok"}])
    with pytest.raises(ValueError, match="case 'a' has organ 'liver' more than once"):
        summarise([row("a", "liver", 0.9), row("a", "liver", 0.8)])


def _no_better(name: str, before: Any, after: Any) -> bool:
    """Whether a summary number, or None for undefined, didn't improve."""
    if before is None or after is None:
        return after is None  # a defined number must not come out of an undefined one
    return after <= before + 1e-12 if HIGHER_IS_BETTER[name] else after >= before - 1e-12


@settings(max_examples=25, deadline=None)
@given(data=st.data(), missed=st.sampled_from(["diagonal", "inf", "nan"]))
def test_leaving_an_organ_out_improves_nothing(data: st.DataObject, missed: str) -> None:
    pairs = [label_pair(data.draw(st.integers(0, 30)), shape=(10, 9, 6)) for _ in range(3)]
    deleted_case = data.draw(st.integers(0, 2))
    present = [index for index in (1, 2, 3) if (pairs[deleted_case][1] == index).any()]
    deleted = data.draw(st.sampled_from(present))

    def summary(delete: bool) -> dict[str, Any]:
        rows = []
        for case, (prediction, reference) in enumerate(pairs):
            if delete and case == deleted_case:
                prediction = np.where(prediction == deleted, 0, prediction)
            organs = case_metrics(prediction, reference, ORGANS, SPACING, missed=missed)
            rows += [{"case": str(case), **organ} for organ in organs]
        return summarise(rows)

    before, after = summary(False), summary(True)
    parts = [(before["overall"], after["overall"])]
    parts += [(before["organs"][organ], after["organs"][organ]) for organ in ORGANS]
    for old, new in parts:
        assert new["n"] == old["n"]
        assert new["n_missed"] >= old["n_missed"]
        for name in HIGHER_IS_BETTER:
            assert _no_better(name, old[name]["mean"], new[name]["mean"])
            assert _no_better(name, old[name]["median"], new[name]["median"])
            for low_and_high in zip(old[name]["ci95"] or (None, None), new[name]["ci95"] or (None, None)):
                assert _no_better(name, *low_and_high)
    json.dumps(after, allow_nan=False)


@pytest.mark.parametrize("at_once", [1, 100, 2**21])
def test_bootstrap_in_pieces_is_that_of_all_draws(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Written down as it is defined; the pieces keep the memory of 100 000 cases small."""
    values = np.random.default_rng(1).normal(size=(37, 2))
    draws = np.random.default_rng(5).integers(0, 37, size=(2000, 37))
    plain = [list(np.percentile(column[draws].mean(axis=1), (2.5, 97.5))) for column in values.T]
    monkeypatch.setattr(summary, "DRAWS_AT_ONCE", at_once)
    np.testing.assert_allclose(summary.bootstrap_intervals(values, seed=5), plain, rtol=1e-12)
