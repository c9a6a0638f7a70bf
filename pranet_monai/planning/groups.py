# SPDX-License-Identifier: Apache-2.0
"""The patients of a folder, and the folds of a split."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from pranet_monai.data.folds import split_into_folds
from pranet_monai.errors import UsageError, some_of
from pranet_monai.planning.patients import patients_of
from pranet_monai.planning.survey import Survey

__all__ = ["Patients", "group_patients"]


@dataclass(frozen=True)
class Patients:
    """Who is in a folder.

    Attributes:
        classes_of: patient → label numbers that occur.
        listed: patient → what a split lists: the patient, or the cases that can be used where others can't.
        remarks: patients that had to be left out.
    """

    classes_of: dict[str, set[int]]
    listed: dict[str, list[str]]
    remarks: list[str]

    def folds(self, number: int) -> dict[str, list[str]]:
        """``fold0`` … → what the split lists; fewer folds where there are fewer patients."""
        dealt = split_into_folds(self.classes_of, min(number, len(self.classes_of)))
        return {
            f"fold{n}": sorted(name for patient in fold for name in self.listed[patient])
            for n, fold in enumerate(dealt)
        }


def group_patients(found: Survey, pattern: str | None = None) -> Patients:
    """Who the usable cases are of; cases with the very same voxels count as one patient's.

    Args:
        found: what lies in the folder.
        pattern: see :func:`~pranet_monai.planning.patients.patients_of`.

    Raises:
        UsageError: fewer than two patients.
    """
    items = [*(case.item for case in found.cases), *found.unusable]
    names = patients_of(items, pattern)
    spoilt = set(names[len(found.cases) :])
    same = _united([(name, case.digest) for case, name in zip(found.cases, names)])
    classes_of: dict[str, set[int]] = defaultdict(set)
    listed: dict[str, set[str]] = defaultdict(set)
    left_out = set()
    for case, name in zip(found.cases, names):
        if name in spoilt and "patient" in case.item:
            left_out.add(name)
            continue
        classes_of[same[name]] |= set(case.numbers)
        listed[same[name]].add(case.item["case"] if name in spoilt else name)
    if len(classes_of) < 2:
        raise UsageError(
            f"{found.folder}: found {len(found.cases)} usable cases of {len(classes_of)} patient(s), by their names "
            f"({some_of(sorted(set(names)), 3)}); allowed: 2 or more, as no patient may be in both training and "
            "validation; fix: add patients, or say by --patient REGEX which part of a name is the patient"
        )
    remarks = [f"{name}: left out, as not all cases of this patient can be used" for name in sorted(left_out)]
    return Patients(dict(classes_of), {name: sorted(entries) for name, entries in listed.items()}, remarks)


def _united(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Patient → one name for all patients that share a digest, over however many steps."""
    parent = {name: name for name, _ in pairs}
    owner: dict[str, str] = {}

    def root(name: str) -> str:
        return name if parent[name] == name else root(parent[name])

    for name, digest in pairs:
        parent[root(name)] = root(owner.setdefault(digest, name))
    return {name: root(name) for name in parent}
