# SPDX-License-Identifier: Apache-2.0
"""The patients of a folder, and the folds of a split."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from pranet_monai.data.folds import split_into_folds
from pranet_monai.data.splits import patient_of_case
from pranet_monai.errors import UsageError, some_of
from pranet_monai.planning.patients import patients_of
from pranet_monai.planning.survey import Survey

__all__ = ["Patients", "group_patients"]

_NUMBER = re.compile(r"[_.\- (]+\d+\)?$")


@dataclass(frozen=True)
class Patients:
    """Who is in a folder.

    Attributes:
        classes_of: patient → label numbers that occur.
        listed: patient → what a split lists: the patient; or single cases, where others of the patient can't be used
            or names don't begin with the patient's.
        remarks: patients that had to be left out, and names that may be of one.
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
    known = sorted(set(names))
    classes_of: dict[str, set[int]] = defaultdict(set)
    listed: dict[str, set[str]] = defaultdict(set)
    left_out = set()
    for case, name in zip(found.cases, names):
        if name in spoilt and "patient" in case.item:
            left_out.add(name)
            continue
        classes_of[same[name]] |= set(case.numbers)
        is_told = name not in spoilt and patient_of_case(case.item, known) == name
        listed[same[name]].add(name if is_told else case.item["case"])
    if len(classes_of) < 2:
        raise UsageError(
            f"{found.folder}: found {len(found.cases)} usable cases of {len(classes_of)} patient(s), by their names "
            f"({some_of(sorted(set(names)), 3)}); allowed: 2 or more, as no patient may be in both training and "
            "validation; fix: add patients, or say by --patient REGEX which part of a name is the patient"
        )
    remarks = [f"{name}: left out, as not all cases of this patient can be used" for name in sorted(left_out)]
    if pattern is None and found.data_set is None:
        remarks += _numbered(sorted(classes_of))
    return Patients(dict(classes_of), {name: sorted(entries) for name, entries in listed.items()}, remarks)


def _numbered(patients: list[str]) -> list[str]:
    """A remark on names that several groups of patients share but for a number at the end, as slices and visits do."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in patients:
        groups[_NUMBER.sub("", name)].append(name)
    shared = [names for names in groups.values() if len(names) > 1]
    if len(shared) < 2:
        return []
    return [
        f"{some_of(shared[0][:2])} count as two patients, and so do others that differ in a number at the end; if "
        "these are slices, frames or visits of one, say by --patient REGEX which part of a name is the patient"
    ]


def _united(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Patient → one name for all patients that share a digest, over however many steps."""
    parent = {name: name for name, _ in pairs}
    owner: dict[str, str] = {}

    def root(name: str) -> str:
        return name if parent[name] == name else root(parent[name])

    for name, digest in pairs:
        parent[root(name)] = root(owner.setdefault(digest, name))
    return {name: root(name) for name in parent}
