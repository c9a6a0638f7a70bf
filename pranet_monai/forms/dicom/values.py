# SPDX-License-Identifier: Apache-2.0
"""Values of a DICOM header as the numbers that they ought to be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["finite_numbers", "whole_number"]


def whole_number(values: Mapping[str, Any], name: str) -> int | None:
    """The value of this name as a whole number; None where there is none, or something else."""
    try:
        return int(values[name])
    except (KeyError, ValueError, TypeError):
        return None


def finite_numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """A header's value as so many numbers; None where it is none, or something else."""
    if value is None or value == "":
        return None
    parts = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else value
    try:
        numbers = tuple(float(part) for part in parts)
    except (ValueError, TypeError):
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None
