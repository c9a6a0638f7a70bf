# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from pranet_monai.errors import BadCaseError
from pranet_monai.metrics import HIGHER_IS_BETTER, assd, case_metrics, dice, hd95, iou, nsd

from .blobs import label_pair

SPACING = (0.5, 2.0, 3.0)
ORGANS = {"one": (1,), "two": (2,), "one or three": (1, 3)}


def test_rows_hold_the_numbers_of_the_pure_functions() -> None:
    prediction, reference = label_pair(0)
    rows = case_metrics(prediction, reference, ORGANS, SPACING, definition="max", tolerance_mm=1.5)
    assert [row["organ"] for row in rows] == list(ORGANS)
    for row in rows:
        masks = [np.isin(labels, ORGANS[row["organ"]]) for labels in (prediction, reference)]
        assert row["status"] == "ok"
        assert row["dice"] == dice(*masks)
        assert row["iou"] == iou(*masks)
        assert row["hd95_mm"] == pytest.approx(hd95(*masks, SPACING, "max"))
        assert row["assd_mm"] == pytest.approx(assd(*masks, SPACING))
        assert row["nsd"] == nsd(*masks, SPACING, tolerance_mm=1.5)
        assert (row["voxels"], row["reference_voxels"]) == tuple(mask.sum() for mask in masks)
        assert row["volume_ml"] == pytest.approx(masks[0].sum() * 3 / 1000)
        assert row["reference_volume_ml"] == pytest.approx(masks[1].sum() * 3 / 1000)


def test_columns() -> None:
    prediction, reference = label_pair(1)
    columns = {"organ", "status", "volume_ml", "voxels", "touches_border", "reference_volume_ml", "reference_voxels"}
    assert set(case_metrics(prediction, reference, ORGANS, SPACING)[0]) == columns | set(HIGHER_IS_BETTER)
    measured = case_metrics(prediction, None, ORGANS, SPACING)
    assert set(measured[0]) == {"organ", "volume_ml", "voxels", "touches_border"}
    full = case_metrics(prediction, reference, ORGANS, SPACING)
    assert [row["volume_ml"] for row in measured] == [row["volume_ml"] for row in full]


@pytest.mark.parametrize("convert", [np.asfortranarray, lambda a: a.astype(np.int64), lambda a: a.astype(np.float32)])
def test_memory_order_and_type_do_not_matter(convert) -> None:
    prediction, reference = label_pair(2)
    rows = case_metrics(convert(prediction), convert(reference), ORGANS, SPACING)
    assert rows == case_metrics(prediction, reference, ORGANS, SPACING)


@pytest.mark.parametrize(("missed", "distance"), [("diagonal", math.sqrt(2**2 + 16**2 + 27**2)), ("inf", math.inf)])
def test_empty_organs(missed: str, distance: float) -> None:
    prediction, reference = np.zeros((2, 4, 8, 9), np.uint8)
    prediction[0, 0, 0], reference[1, 1, 1] = 1, 2
    organs = {"false_positive": (1,), "missed": (2,), "both_empty": (3,)}
    rows = {row["organ"]: row for row in case_metrics(prediction, reference, organs, SPACING, missed=missed)}
    assert all(row["status"] == organ for organ, row in rows.items())
    for organ in ("missed", "false_positive"):
        assert [rows[organ][name] for name in ("dice", "iou", "nsd")] == [0, 0, 0]
        assert rows[organ]["hd95_mm"] == rows[organ]["assd_mm"] == pytest.approx(distance)
    assert all(math.isnan(rows["both_empty"][name]) for name in HIGHER_IS_BETTER)
    assert rows["missed"]["voxels"] == 0
    assert rows["missed"]["reference_voxels"] == 1


@pytest.mark.parametrize(
    ("position", "touches"), [((1, 1, 1), False), ((0, 1, 1), True), ((1, 7, 1), True), ((1, 1, 8), True)]
)
def test_touches_border(position: tuple[int, int, int], touches: bool) -> None:
    labels = np.zeros((4, 8, 9), np.uint8)
    labels[position] = 1
    assert case_metrics(labels, None, {"organ": (1,)}, SPACING)[0]["touches_border"] is touches


@pytest.mark.parametrize("value", [-1, 7, 900])
def test_unknown_labels_are_named_with_their_voxels(value: int) -> None:
    reference = np.zeros((4, 4, 4), np.int16)
    prediction = reference.copy()
    prediction[0, 0, :3] = value
    with pytest.raises(BadCaseError, match=rf"prediction holds labels .*: {value} \(3 voxels\); known are \[0, 1, 8\]"):
        case_metrics(prediction, reference, {"organ": (1, 8)}, SPACING)
    with pytest.raises(BadCaseError, match="reference holds labels"):
        case_metrics(reference, prediction, {"organ": (1, 8)}, SPACING)


def test_labels_that_are_known_but_not_measured() -> None:
    prediction, reference = label_pair(3)
    rows = case_metrics(prediction, reference, {"two": (2,)}, SPACING, labels=(1, 2, 3))
    assert rows == case_metrics(prediction, reference, ORGANS, SPACING)[1:2]


def test_grids_must_agree() -> None:
    prediction, reference = label_pair(4)
    with pytest.raises(BadCaseError, match=r"one grid, got \(20, 24, 12\) and \(19, 24, 12\)"):
        case_metrics(prediction, reference[1:], ORGANS, SPACING)


def test_fractions_are_no_labels() -> None:
    prediction, reference = label_pair(4)
    with pytest.raises(BadCaseError, match="prediction must hold whole numbers as labels, got float64"):
        case_metrics(prediction + 0.5, reference, ORGANS, SPACING)


def test_spacing_must_fit_the_axes() -> None:
    with pytest.raises(ValueError, match="spacing must be 3 positive numbers"):
        case_metrics(*label_pair(4), ORGANS, (1, 1))
