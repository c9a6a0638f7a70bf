# SPDX-License-Identifier: Apache-2.0
"""Along which axes of the body classes are told apart by their side alone: mirrored images would be wrong there."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["sided_axes"]

# world axis (R, A, S) → words for both of its ends
_ENDS = {
    0: [("left", "right"), ("l", "r"), ("lh", "rh"), ("lt", "rt")],
    1: [("anterior", "posterior"), ("front", "back"), ("ventral", "dorsal")],
    2: [("superior", "inferior"), ("upper", "lower"), ("cranial", "caudal")],
}


def sided_axes(names: Sequence[str]) -> set[int]:
    """World axes (R, A, S) along which one class is the other's mirror image, by their names.

    Where several classes have no names of their own, left and right may be among them.

    Args:
        names: of the classes, such as "left_kidney".
    """
    found = {
        axis
        for axis, pairs in _ENDS.items()
        for one, other in pairs
        if any(_with(name, one, other) in names for name in names if one in name.split("_"))
    }
    nameless = sum(name.startswith("class_") for name in names)
    return found | ({0} if nameless > 1 else set())


def _with(name: str, word: str, other: str) -> str:
    return "_".join(other if part == word else part for part in name.split("_"))
