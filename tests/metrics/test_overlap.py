# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from medpy.metric import binary as medpy
from monai.metrics import compute_dice
from pranet_monai.metrics import dice, iou

from .blobs import blob_pair


def test_hand_computed() -> None:
    prediction = np.array([1, 1, 1, 0, 0], bool)
    reference = np.array([0, 1, 1, 1, 1], bool)
    assert dice(prediction, reference) == pytest.approx(2 * 2 / 7)
    assert iou(prediction, reference) == pytest.approx(2 / 5)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_medpy_and_monai(seed: int) -> None:
    prediction, reference = blob_pair(seed)
    assert dice(prediction, reference) == pytest.approx(medpy.dc(prediction, reference), abs=1e-12)
    assert iou(prediction, reference) == pytest.approx(medpy.jc(prediction, reference), abs=1e-12)
    batch = (torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference))
    assert dice(prediction, reference) == pytest.approx(compute_dice(*batch).item(), abs=1e-6)


@pytest.mark.parametrize("metric", [dice, iou])
def test_empty_masks(metric) -> None:
    empty, full = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    assert math.isnan(metric(empty, empty))
    assert metric(empty, full) == metric(full, empty) == 0
    assert metric(full, full) == 1


def test_masks_of_zeros_and_ones_count_as_boolean() -> None:
    prediction, reference = blob_pair(0)
    expected = dice(prediction, reference)
    assert dice(prediction.astype(np.uint8), reference.astype(np.float32)) == expected
    assert dice(torch.from_numpy(prediction), torch.from_numpy(reference)) == expected


def test_label_volume_is_no_mask() -> None:
    with pytest.raises(ValueError, match=r"prediction must be a boolean mask, got uint8 with values 0 to 2"):
        dice(np.array([0, 1, 2], np.uint8), np.array([0, 1, 1], bool))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3\) and \(3, 2\)"):
        iou(np.ones((2, 3), bool), np.ones((3, 2), bool))
