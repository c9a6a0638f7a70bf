# SPDX-License-Identifier: Apache-2.0
"""Better measures never lower the Dice that is expected, and what is learnt holds for patients left out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pranet_monai.bundle_store import find_bundle
from pranet_monai.errors import UsageError
from pranet_monai.quality.calibration import OrganSize, plausibility, read_calibration
from pranet_monai.quality.examples import (
    UNCHANGED,
    Example,
    alarms,
    auroc,
    calibrated,
    fit,
    left_out,
    review_limit,
    scores,
    usable_measures,
)

from .samples import ORGANS, SIZES, some_examples

share = st.floats(0, 1)
MODEL = fit(some_examples(), ["soft_dice", "certainty"])


@given(low=share, high=share, other=share)
def test_a_better_measure_never_lowers_the_expectation(low: float, high: float, other: float) -> None:
    low, high = sorted((low, high))
    for organ in ORGANS:
        worse = MODEL.expected_dice(organ, {"soft_dice": low, "certainty": other})
        better = MODEL.expected_dice(organ, {"soft_dice": high, "certainty": other})
        assert 0 <= worse <= better <= 1


@pytest.mark.parametrize("short_name", ["chaos_mr", "hippocampus", "synapse_lite"])
def test_a_measure_that_cant_be_counts_as_the_others(short_name: str) -> None:
    """A single slice has no neighbours: what is expected of it is what its other measures say."""
    calibration = read_calibration(find_bundle(short_name).folder / "models" / "quality.json")
    organ, measures = next(iter(calibration.sizes)), dict.fromkeys(calibration.model.weights, 0.97)
    all_known = calibration.model.expected_dice(organ, measures)
    assert calibration.model.expected_dice(organ, {**measures, "continuity": math.nan}) == pytest.approx(all_known)
    assert calibration.model.expected_dice(organ, {**measures, "continuity": 0.0}) < all_known - 0.05
    nothing = calibration.model.expected_dice(organ, dict.fromkeys(measures, math.nan))
    assert nothing == pytest.approx(calibration.model.expected_dice(organ, dict.fromkeys(measures, 0.0)))


def test_examples_of_single_slices_are_fitted_by_their_other_measures() -> None:
    examples = some_examples()
    copied = [replace(one, measures={**one.measures, "mirrored": one.measures["soft_dice"]}) for one in examples]
    single = [replace(one, measures={**one.measures, "mirrored": math.nan}) for one in copied[:6]]
    model = fit([*single, *copied[6:]], ["soft_dice", "mirrored"])
    assert model.weights["mirrored"] == pytest.approx(model.weights["soft_dice"], rel=0.01)


def test_the_measure_that_tells_gets_the_weight() -> None:
    examples = some_examples(30)
    assert usable_measures(examples) == ["soft_dice", "certainty"], "mirrored is NaN throughout"
    model = fit(examples, usable_measures(examples))
    assert model.weights["soft_dice"] > 5 * model.weights["certainty"]
    expected = left_out(examples, ["soft_dice", "certainty"])
    found = scores([one.dice for one in examples], expected)
    assert found["mae"] < 0.03 and found["auroc"] > 0.98 and found["spearman"] > 0.97


def test_an_organ_of_few_examples_leans_on_the_others() -> None:
    """One odd mask of an organ doesn't decide what is expected of the next ones; many do."""
    odd = replace(some_examples()[0], organ="rare", dice=0.2)
    others = [replace(one, organ="usual") for one in some_examples(30)]
    measures = {"soft_dice": 0.95, "certainty": 0.95}
    names = ["soft_dice", "certainty"]
    usual = fit(others, names).expected_dice("usual", measures)
    after_one = fit([*others, odd], names).expected_dice("rare", measures)
    after_many = fit([*others, *[odd] * 60], names).expected_dice("rare", measures)
    assert after_many < after_one - 0.1 and after_one > usual - 0.1


def test_a_patient_left_out_is_not_seen() -> None:
    """Whatever the Dice of a patient's masks, what is expected of them stays the same."""
    examples = some_examples()
    twisted = [replace(one, dice=1 - one.dice) if one.patient == "p2" else one for one in examples]
    own = np.array([one.patient == "p2" for one in examples])
    names = ["soft_dice", "certainty"]
    np.testing.assert_array_equal(left_out(examples, names)[own], left_out(twisted, names)[own])
    assert (left_out(examples, names)[~own] != left_out(twisted, names)[~own]).any()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=12))
def test_auroc_is_the_share_of_pairs_in_order(pairs: list[tuple[bool, int]]) -> None:
    bad, good = [v for is_bad, v in pairs if is_bad], [v for is_bad, v in pairs if not is_bad]
    found = auroc([is_bad for is_bad, _ in pairs], [v for _, v in pairs])
    if not bad or not good:
        assert np.isnan(found)
    else:
        won = [1.0 if b < g else 0.5 if b == g else 0.0 for b in bad for g in good]
        assert found == pytest.approx(np.mean(won))


def organ_of(case: str, dice: float, kind: str = UNCHANGED) -> Example:
    return Example("p", case, kind, 0.0, "liver", dice, 1.0, {})


def test_review_finds_nine_of_ten_bad_ones() -> None:
    bad, good = np.linspace(0.5, 0.95, 10), np.full(20, 0.99)
    examples = [*(organ_of(f"b{i}", 0.5) for i in range(10)), *(organ_of(f"g{i}", 0.9) for i in range(20))]
    limit = review_limit(examples, [*bad, *good])
    assert sum(bad < limit) == 9 and limit == pytest.approx(0.9, abs=0.0011)


def test_review_spares_the_good_ones_as_they_are() -> None:
    """Bad ones that look good are left unfound rather than have more than 15 % of the good ones marked."""
    good = np.linspace(0.7, 0.89, 20)
    examples = [*(organ_of(f"b{i}", 0.5) for i in range(10)), *(organ_of(f"g{i}", 0.9) for i in range(20))]
    examples += [organ_of("degraded copy", 0.9, "noise")]
    limit = review_limit(examples, [*np.full(10, 0.95), *good, 0.1])
    assert sum(good < limit) == 3
    assert review_limit([organ_of("g", 0.9)], [0.95]) == 0.8


def test_masks_are_judged_by_their_worst_organ() -> None:
    """Two masks of three organs: of one an organ is bad and found by another organ's expectation; the other is good."""
    known = [one for one in some_examples(1) if one.strength < 0.5]
    dice, expected = [0.7, 0.9, 0.9, 0.9, 0.9, 0.9], [0.95, 0.8, 0.95, 0.95, 0.95, 0.9]
    examples = [replace(one, dice=value) for one, value in zip(known, dice, strict=True)]
    assert alarms(examples, expected, 0.85) == {
        "found": 0,
        "false_alarms": 0.2,
        "masks_found": 1,
        "masks_false_alarms": 0,
    }


def test_calibration_states_what_it_was_made_of() -> None:
    examples = some_examples()
    found = calibrated(examples, SIZES, "abc", 1, {"split": "some"})
    assert found.made_of == {"split": "some", "patients": 6, "cases": 6, "examples": 72}
    assert found.validation["unchanged"]["n"] == 18 and found.validation["all"]["n"] == 72
    assert 0 <= found.validation["all"]["false_alarms"] <= 1 and found.validation["all"]["masks_found"] > 0.8
    with pytest.raises(UsageError, match="found 2 patients; allowed: 3 or more"):
        calibrated(some_examples(2), SIZES, "abc", 1, {})


def test_an_organ_that_is_not_there() -> None:
    """Expected Dice is 0 where every reference held the organ, and unknown where it may be missing."""
    found = calibrated(some_examples(), SIZES, "abc", 1, {})
    measures = {"soft_dice": 0.9, "certainty": 0.9}
    assert found.expected_dice("myocardium", measures, 0.0) == 0
    assert found.expected_dice("myocardium", measures, 50.0) > 0.5  # type: ignore[operator]
    rare = replace(found, sizes={"myocardium": OrganSize(4.0, 0.5, False)})
    assert rare.expected_dice("myocardium", measures, 0.0) is None


def test_unusual_sizes_are_less_plausible() -> None:
    usual = OrganSize(np.log(100), 0.2, True)
    assert plausibility(100, usual) == plausibility(100 * np.exp(0.19), usual) == 1
    assert plausibility(100 * np.exp(0.5), usual) == pytest.approx(0.5)
    assert plausibility(10, usual) < plausibility(50, usual) < 0.5 and plausibility(0, usual) == 0
