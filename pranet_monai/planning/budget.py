# SPDX-License-Identifier: Apache-2.0
"""How many epochs fit into a stated time."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Schedule", "Speed", "schedule"]

MOST_EPOCHS = 1000
VALIDATIONS = 6  # in a training
FOR_VALIDATION = 0.25  # of the time, at most
AFTERWARDS = 6  # times that the validation cases are gone through: for the report, and four times to calibrate
RESERVE = 0.05


class Speed(NamedTuple):
    """Seconds on the machine that will train.

    Attributes:
        step: of a batch, loaded, augmented and learned from.
        load: of reading and preprocessing a case.
        segment: of a case through the network.
    """

    step: float
    load: float
    segment: float


class Schedule(NamedTuple):
    """Of a training: epochs, epochs from one validation to the next, and the hours that it will take."""

    epochs: int
    val_interval: int
    hours: float


def schedule(hours: float, speed: Speed, batches: int, train_cases: int, val_cases: int) -> Schedule:
    """The longest training that ends within the time, report and calibration included; one epoch at least.

    Args:
        hours: the time.
        speed: of the machine.
        batches: of an epoch.
        train_cases: loaded once.
        val_cases: gone through in each validation, and afterwards.
    """
    seconds = 3600 * hours
    validation = val_cases * (speed.load + speed.segment)
    fixed = train_cases * speed.load + AFTERWARDS * validation
    count = max(1, min(VALIDATIONS, int(FOR_VALIDATION * seconds / validation) if validation else VALIDATIONS))
    left = (1 - RESERVE) * seconds - fixed - count * validation
    epochs = max(1, min(MOST_EPOCHS, int(left / (batches * speed.step))))
    interval = -(-epochs // count)
    validations = -(-epochs // interval)
    return Schedule(epochs, interval, (fixed + validations * validation + epochs * batches * speed.step) / 3600)
