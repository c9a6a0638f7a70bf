# SPDX-License-Identifier: Apache-2.0
"""Losses against the values recorded from the original code (tests/golden/losses.json says how inputs are made)."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from pranet_monai.losses import DualSupervisionLoss, StructureLoss
from torch.nn import functional as F

from tests.golden import recipe

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "losses.json").read_text())["values"]
DTYPES = {"f32": torch.float32, "f64": torch.float64}
TOLERANCE = {"f32": 3e-6, "f64": 1e-12}


def tensor(array, dtype):
    return torch.from_numpy(np.asarray(array, np.float32)).to(dtype)


def polyp(dtype, first_foreground=910, first_background=920, size=64, count=4):
    foreground = [3 * tensor(recipe.make_input(first_foreground + i, (2, 1, size, size)), dtype) for i in range(count)]
    background = [3 * tensor(recipe.make_input(first_background + i, (2, 1, size, size)), dtype) for i in range(count)]
    return foreground, background


def multi_class(classes, dtype):
    labels = torch.from_numpy(recipe.labels(940 + classes, (2, 64, 64), classes))[:, None]
    shape = (2, classes, 64, 64)
    foreground = [2 * tensor(recipe.make_input(950 + 10 * classes + i, shape), dtype) for i in range(4)]
    background = [2 * tensor(recipe.make_input(1050 + 10 * classes + i, shape), dtype) for i in range(4)]
    return foreground, background, labels


@pytest.mark.parametrize("precision", DTYPES)
def test_structure_loss(precision):
    golden, dtype = GOLDEN[precision], DTYPES[precision]
    foreground, background = polyp(dtype)
    mask = tensor(recipe.labels(900, (2, 1, 64, 64), 2), dtype)
    close = {"rel": TOLERANCE[precision]}
    for i in range(4):
        one = StructureLoss()((foreground[i : i + 1], background[i : i + 1]), mask)
        assert one.item() == pytest.approx(golden[f"structure_loss_v2/{i}"], **close)
        v1 = StructureLoss(weighted_bce=False)((foreground[i : i + 1], []), mask)
        assert v1.item() == pytest.approx(golden[f"structure_loss_v1_original_PraNet/{i}"], **close)
    assert StructureLoss()((foreground, background), mask).item() == pytest.approx(
        golden["structure_loss_v2/sum4"], **close
    )


@pytest.mark.parametrize("precision", DTYPES)
def test_structure_loss_on_soft_masks(precision):
    golden, dtype = GOLDEN[precision], DTYPES[precision]
    mask = tensor(recipe.labels(900, (2, 1, 64, 64), 2), dtype)
    soft = F.interpolate(mask, size=(80, 80), mode="bilinear", align_corners=True)
    maps = polyp(dtype, 930, 931, size=80, count=1)
    assert StructureLoss()(maps, soft).item() == pytest.approx(
        golden["structure_loss_v2/soft80"], rel=TOLERANCE[precision]
    )


def _settings(golden, classes):
    for key in golden:
        parts = key.split("/")
        if parts[0] == f"c{classes}" and parts[1] in ("dual", "single"):
            yield key, parts[1], parts[2]


@pytest.mark.parametrize("classes", [9, 4])
@pytest.mark.parametrize("precision", DTYPES)
def test_dual_supervision_loss(precision, classes):
    golden = GOLDEN[precision]
    foreground, background, labels = multi_class(classes, DTYPES[precision])
    checked = 0
    for key, kind, what in _settings(golden, classes):
        ce_weight = 0.5 if kind == "dual" else 0.3
        backgrounds = background if kind == "dual" else []
        if what.startswith("subset"):
            subset = json.loads(what.removeprefix("subset"))
            maps = [[sum(m[i] for i in subset)] if m else [] for m in (foreground, backgrounds)]
            loss = DualSupervisionLoss("deep_supervision", ce_weight=ce_weight)(maps, labels)
        else:
            loss = DualSupervisionLoss(what, ce_weight=ce_weight)((foreground, backgrounds), labels)
        assert loss.item() == pytest.approx(golden[key], rel=TOLERANCE[precision]), key
        checked += 1
    assert checked >= 18


def test_single_terms():
    foreground, background, labels = multi_class(9, torch.float64)
    for i in range(4):
        for name, weights in {"ce": (1, 0, 0), "dice": (0, 1, 0), "bce_bg": (0, 0, 1)}.items():
            loss = DualSupervisionLoss("deep_supervision", *weights)(
                (foreground[i : i + 1], background[i : i + 1]), labels
            )
            assert loss.item() == pytest.approx(GOLDEN["f64"][f"c9/{name}/{i}"], rel=1e-12)


def test_stages_and_sum_is_each_stage_plus_their_sum():
    foreground, background, labels = multi_class(4, torch.float64)
    each = DualSupervisionLoss("deep_supervision")((foreground, background), labels)
    whole = DualSupervisionLoss("last_layer")(([sum(foreground)], [sum(background)]), labels)
    both = DualSupervisionLoss("stages_and_sum")((foreground, background), labels)
    assert both.item() == pytest.approx((each + whole).item(), rel=1e-12)


def test_mutation_covers_all_subsets():
    from pranet_monai.losses.dual_supervision import _subsets

    expected = {s for size in (1, 2, 3, 4) for s in combinations(range(4), size)}
    assert set(_subsets("mutation", 4)) == expected and len(_subsets("mutation", 4)) == 15


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="combination is 'all'.*mutation"):
        DualSupervisionLoss("all")
    with pytest.raises(ValueError, match=r"target has shape \[2, 4, 8, 8\], must be \[2, 1, 8, 8\]"):
        DualSupervisionLoss()(([torch.zeros(2, 4, 8, 8)], []), torch.zeros(2, 4, 8, 8))
    with pytest.raises(ValueError, match="target has shape"):
        StructureLoss()(([torch.zeros(2, 1, 8, 8)], []), torch.zeros(2, 8, 8))
