# SPDX-License-Identifier: Apache-2.0
"""Every labelled case of a folder read once: what there is to learn from, and what is wrong with the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pranet_monai.data.cases import cases_to_train
from pranet_monai.data.datasets import DATA_SETS, DataSet
from pranet_monai.data.labels import MAX_CLASSES, get_label_map
from pranet_monai.errors import BadCaseError, UsageError, reason_of, some_of
from pranet_monai.forms import KINDS, KindName, form_of
from pranet_monai.planning.case_facts import CaseFacts, look_through
from tqdm import tqdm

__all__ = ["Survey", "survey"]

ONE_CHANNEL = "one image is read of each, nnU-Net's _0000; a file that holds several must be split"


@dataclass
class Survey:
    """What lies in a folder.

    Attributes:
        folder: the folder.
        kind: of its cases.
        data_set: the known data set that it is by its names and numbers, or None.
        cases: the labelled ones that can be read.
        unusable: the others, as ``find_cases`` lists them.
        names: number → class as the labels themselves name it; empty where they number their classes.
        problems: what is wrong with those that have a label, a sentence each.
        remarks: what is odd, but may well be right.
    """

    folder: Path
    kind: KindName
    data_set: DataSet | None
    cases: list[CaseFacts] = field(default_factory=list)
    unusable: list[Mapping[str, Any]] = field(default_factory=list)
    names: Mapping[int, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        """All label numbers but 0, sorted."""
        return sorted({number for case in self.cases for number in case.numbers})


def survey(
    folder: str | Path,
    kind: KindName | None = None,
    quiet: bool = False,
    channels: int = 1,
    names: Mapping[int, str] | None = None,
) -> Survey:
    """Reads every labelled case of a folder.

    Args:
        folder: with images and their labels, in any form.
        kind: "volume" or "image"; default: whatever is labelled there.
        quiet: show no progress bar.
        channels: modalities of a case, as far as that was said; only the first of them can be read.
        names: number → class, as far as that was said; else labels that name their classes say so themselves.

    Raises:
        UsageError: there is nothing to learn from: no labelled case, none that can be read, no label with anything in
            it, too many label numbers, or volumes and RGB images together.
    """
    root = Path(folder).expanduser()
    kind, items = _labelled(root, kind)
    paired = [item for item in items if "label" in item and "error" not in item]
    found = Survey(root, kind, _known_data_set(paired))
    found.unusable += [item for item in items if item not in paired]
    found.problems += [item["error"] for item in found.unusable if "error" in item]
    if unlabelled := [item["case"] for item in found.unusable if "label" not in item]:
        found.remarks.append(f"left out, as they have no label: {some_of(unlabelled)}")
    if not names:
        found.names = _names_in_labels(paired)
    for item in tqdm(paired, desc="new-bundle: reading", unit="case", file=sys.stderr, disable=quiet):
        hints = found.data_set.reading_hints(item) if found.data_set else {}
        try:
            _check_is_named(item, found.names)
            found.cases.append(look_through(item | hints, names or found.names))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one case is a line of the answer
            names_file = isinstance(error, BadCaseError)
            found.problems.append(reason_of(error) if names_file else f"{item['case']}: {reason_of(error)}")
            found.unusable.append(item | hints)
    if channels > 1:
        found.remarks.append(f"dataset.json names {channels} modalities of each case: {ONE_CHANNEL}")
    _check(found)
    if found.data_set and not _numbers_fit(found.data_set, found.cases):
        hints_of, found.data_set = found.data_set.reading_hints, None
        found.cases = [case._replace(item=_without(case.item, hints_of(case.item))) for case in found.cases]
    found.remarks += _remarks(found)
    return found


def _labelled(root: Path, kind: KindName | None) -> tuple[KindName, list[dict[str, Any]]]:
    """The cases of the kind that has labels."""
    found: dict[KindName, list[dict[str, Any]]] = {}
    reasons = []
    for one in (kind,) if kind else KINDS:
        try:
            found[one] = cases_to_train(root, one, labels="optional")
        except UsageError as error:
            reasons.append(str(error))
    counts = {one: sum("label" in item and "image" in item for item in items) for one, items in found.items()}
    with_labels = [one for one, count in counts.items() if count]
    if len(with_labels) > 1:
        raise UsageError(
            f"{root}: found {counts['volume']} volumes and {counts['image']} RGB images with labels; allowed: one kind "
            "in a bundle; fix: give a folder that holds one kind, or --kind volume or --kind image"
        )
    if not with_labels:
        images = {one: [item for item in items if "image" in item] for one, items in found.items()}
        if not any(images.values()):
            raise UsageError(reasons[0])
        most = max(images, key=lambda one: len(images[one]))
        alone = [Path(item["label"]).relative_to(root).as_posix() for item in found[most] if "image" not in item]
        others = f"; {len(alone)} files are named like labels, of none or several of one image: {some_of(alone, 3)}"
        raise UsageError(
            f"{root}: found {len(images[most])} {most}s ({some_of([item['case'] for item in images[most]], 3)}) and no "
            f"label to any of them{others if alone else ''}; allowed: labels of the same names in a labels* or masks* "
            "folder beside that of the images, or <name>_gt, _seg or _label beside each; fix: put them there, one file "
            "with all classes for each image"
        )
    return with_labels[0], found[with_labels[0]]


def _known_data_set(items: Sequence[Mapping[str, Any]]) -> DataSet | None:
    """The data set whose layouts tell the patient of every case by its name."""
    for data_set in DATA_SETS.values():
        if items and all(data_set.reading_hints(item).get("patient") for item in items):
            return data_set
    return None


def _numbers_fit(data_set: DataSet, cases: Sequence[CaseFacts]) -> bool:
    maps = {case.item["case"]: get_label_map(case.item.get("label_map", data_set.label_map)) for case in cases}
    return all(set(case.numbers) <= set(maps[case.item["case"]].raw_values) for case in cases)


def _without(item: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in hints}


def _names_in_labels(items: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """The classes that labels name, numbered as they come."""
    names = dict.fromkeys(name for item in items for name in form_of(item).class_names(item))
    return dict(enumerate(names, start=1))


def _check_is_named(item: Mapping[str, Any], names: Mapping[int, str]) -> None:
    if names and not form_of(item).class_names(item):
        raise BadCaseError(
            f"{item['label']}: found a label that numbers its classes, beside others that name them "
            f"({some_of(names.values(), 3)}); allowed: both, if a dataset.json says which number is which class; fix: "
            'write one, such as {"labels": {"liver": 1, "spleen": 2}}'
        )


def _check(found: Survey) -> None:
    total = len(found.cases) + len(found.problems)
    if not found.cases or len(found.problems) > len(found.cases):
        raise UsageError(
            f"{found.folder}: found {len(found.problems)} of {total} labelled cases that can't be used:\n  "
            + "\n  ".join(found.problems[:10])
            + (f"\n  and {len(found.problems) - 10} more" if len(found.problems) > 10 else "")
            + "\nfix: repair them, or give another folder"
            + "".join(f"; {remark}" for remark in found.remarks if ONE_CHANNEL in remark)
        )
    if not found.numbers:
        raise UsageError(
            f"{found.folder}: found {len(found.cases)} labels and nothing but 0 in them; allowed: a number above 0 for "
            "each class; fix: give the labels that were drawn"
        )
    if len(found.numbers) >= MAX_CLASSES:
        raise UsageError(
            f"{found.folder}: found {len(found.numbers)} different label numbers in all labels, up to "
            f"{found.numbers[-1]}; allowed: {MAX_CLASSES - 1} classes; fix: give each class a number"
        )


def _remarks(found: Survey) -> Iterator[str]:
    empty = [case.item["case"] for case in found.cases if not case.numbers]
    if empty and found.kind == "volume":
        yield f"nothing is labelled in {some_of(empty)}"
    full = [case.item["case"] for case in found.cases if sum(case.numbers.values()) == int(np.prod(case.size))]
    if full:
        yield f"no voxel is background (0) in {some_of(full)}"
    seen: dict[str, str] = {}
    for case in found.cases:
        if (first := seen.setdefault(case.digest, case.item["case"])) != case.item["case"]:
            yield f"{case.item['case']}: its image has the very voxels of {first}; they count as one patient's"
