# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pranet_monai.data.folds import split_into_folds
from pranet_monai.errors import UsageError


def test_a_rare_class_is_in_every_fold() -> None:
    """Two of ten patients have class 9: dealt by lot, half of the time both would lie in one of two folds."""
    classes_of = {f"p{number}": {1, 9} if number in (3, 4) else {1} for number in range(10)}
    folds = split_into_folds(classes_of, 2)
    assert [len(fold) for fold in folds] == [5, 5]
    assert all(len({"p3", "p4"} & set(fold)) == 1 for fold in folds)


patients = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4), st.sets(st.integers(1, 5), max_size=3), min_size=2, max_size=30
)


@given(classes_of=patients, data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_patient_is_dealt_once_into_folds_of_one_size(
    classes_of: dict[str, set[int]], data: st.DataObject
) -> None:
    number = data.draw(st.integers(2, min(6, len(classes_of))))
    folds = split_into_folds(classes_of, number)
    assert sorted(name for fold in folds for name in fold) == sorted(classes_of)
    sizes = [len(fold) for fold in folds]
    assert len(folds) == number and max(sizes) - min(sizes) <= 1
    assert split_into_folds(dict(reversed(classes_of.items())), number) == folds, "the order given doesn't count"


@given(with_it=st.integers(5, 20), without=st.integers(0, 20))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_one_class_is_spread_evenly(with_it: int, without: int) -> None:
    classes_of: dict[str, set[int]] = {f"with{n}": {1} for n in range(with_it)}
    classes_of |= {f"without{n}": set() for n in range(without)}
    counts = [
        sum(name.startswith("with") and "out" not in name for name in fold) for fold in split_into_folds(classes_of, 5)
    ]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("folds", [0, 1, 3])
def test_too_few_or_too_many_folds(folds: int) -> None:
    with pytest.raises(UsageError, match=f"found {folds} for 2 patients"):
        split_into_folds({"a": {1}, "b": {1}}, folds)
