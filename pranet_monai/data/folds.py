# SPDX-License-Identifier: Apache-2.0
"""Distributes patients over folds of equal size in which every class occurs as often as in the others."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Mapping, Set

from pranet_monai.errors import UsageError

__all__ = ["split_into_folds"]


def split_into_folds(classes_of: Mapping[str, Set[Hashable]], folds: int) -> list[list[str]]:
    """Distributes patients, those of rare classes first (Sechidis et al., "On the stratification of multi-label data",
    ECML PKDD 2011); the same way every time.

    Args:
        classes_of: patient → the classes that occur in the patient's cases.
        folds: how many; at most as many as patients.

    Returns:
        The patients of each fold, sorted. Sizes differ by 1 at most.

    Raises:
        UsageError: fewer than 2 folds, or fewer patients than folds.
    """
    if not 2 <= folds <= len(classes_of):
        raise UsageError(f"folds: found {folds} for {len(classes_of)} patients; allowed: 2 to the number of patients")
    remaining = sorted(classes_of)
    random.Random(0).shuffle(remaining)
    smallest, larger = divmod(len(remaining), folds)  # so many folds hold one more
    dealt: list[list[str]] = [[] for _ in range(folds)]
    counts: list[Counter[Hashable]] = [Counter() for _ in range(folds)]
    while remaining:
        rest = Counter(label for patient in remaining for label in classes_of[patient])
        rarest = min(rest, key=lambda label: (rest[label], str(label)), default=None)
        patient = next(name for name in remaining if rarest is None or rarest in classes_of[name])
        room = smallest + (sum(len(fold) > smallest for fold in dealt) < larger)
        fold = min(
            (number for number in range(folds) if len(dealt[number]) < room),
            key=lambda number: (counts[number][rarest], len(dealt[number]), number),
        )
        dealt[fold].append(patient)
        counts[fold].update(classes_of[patient])
        remaining.remove(patient)
    return [sorted(fold) for fold in dealt]
