# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pranet_monai.planning.budget import Speed, schedule


def test_by_hand() -> None:
    """1 h: 3420 s are left of 3600; loading 100 s, 6 + 6 times validation's 10 s: 3200 s for epochs of 100 s."""
    planned = schedule(1.0, Speed(step=1.0, load=1.0, segment=0.0), batches=100, train_cases=100, val_cases=10)
    assert (planned.epochs, planned.val_interval) == (32, 6)
    assert planned.hours == (100 + 60 + 6 * 10 + 32 * 100) / 3600


def test_slow_validation_is_rarer() -> None:
    planned = schedule(1.0, Speed(step=0.1, load=0.0, segment=40.0), batches=10, train_cases=10, val_cases=10)
    assert -(-planned.epochs // planned.val_interval) == 2  # 400 s each: a quarter of the time holds two


def test_too_little_time_is_one_epoch_that_says_how_long() -> None:
    planned = schedule(0.01, Speed(step=2.0, load=1.0, segment=1.0), batches=1000, train_cases=10, val_cases=2)
    assert planned.epochs == planned.val_interval == 1 and planned.hours > 0.5


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hours=st.floats(0.1, 50), step=st.floats(0.01, 5), batches=st.integers(1, 2000), cases=st.integers(1, 300))
def test_it_ends_in_time_if_an_epoch_does(hours: float, step: float, batches: int, cases: int) -> None:
    planned = schedule(hours, Speed(step, 0.1, 0.5), batches, cases, max(1, cases // 4))
    assert planned.epochs == 1 or planned.hours <= hours
