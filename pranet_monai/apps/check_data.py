# SPDX-License-Identifier: Apache-2.0
"""Looks through a data set before anything is trained or judged on it: what is missing, what is odd."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from monai.data import MetaTensor
from nibabel.affines import voxel_sizes
from pranet_monai.data.cases import FoundDataSet, find_data_set
from pranet_monai.data.datasets import get_data_set
from pranet_monai.data.labels import get_label_map
from pranet_monai.data.splits import load_split_parts
from pranet_monai.errors import BadCaseError, UsageError, some_of
from tqdm import tqdm

__all__ = ["DataCheck", "check_data", "run"]

OUTLIER = 3.0
"""A voxel edge that is this many times longer or shorter than the data set's median is worth a look."""

_SHOWN = 20  # names on a line


class _Facts(NamedTuple):
    """What is kept of a case that was read."""

    voxels: str | None  # digest of the image; None where all of it is one value
    spacing: tuple[float, ...] | None  # mm, shortest edge first
    is_empty: bool  # a label of several slices, or of a image, without anything in it


@dataclass
class DataCheck:
    """What there is to say of a data set.

    Attributes:
        name: of the data set.
        found: its cases.
        split: name of the split; empty where none fits.
        parts: part → cases that can be used and have a label.
        missing: part of the split → its patients without such a case.
        problems: what keeps a case from being used, or falsifies a score.
        remarks: what is odd, but may well be right.
    """

    name: str
    found: FoundDataSet
    split: str
    parts: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0: complete and usable; 1: something is missing, or there are problems."""
        return int(bool(self.problems) or any(self.missing.values()))


def check_data(name: str, folder: str | Path, split: str | None = None, quiet: bool = False) -> DataCheck:
    """Reads every case of a data set and says what is missing or odd. No bad file stops it.

    Args:
        name: of the data set, a key of ``DATA_SETS``.
        folder: that holds it, in any of its layouts.
        split: whose patients must be there; default: the first of the data set's splits that fits the files' names.
        quiet: show no progress bar.

    Raises:
        UsageError: when the data set or the split is unknown, or nothing of it is in the folder.
    """
    found = find_data_set(name, folder)
    splits = (split,) if split else get_data_set(name).splits
    part_of, split = _parts_by_patient(splits, {case.get("patient", "") for case in found.cases}, given=bool(split))
    check = DataCheck(name, found, split)
    facts: dict[str, _Facts] = {}
    parts = {case["case"]: part_of.get(case.get("patient", ""), case.get("part", "")) for case in found.cases}
    for case in tqdm(found.cases, desc="check-data", unit="case", file=sys.stderr, disable=quiet):
        try:
            if fact := _look_at(name, case, found, must_have_label=case.get("patient") in part_of):
                facts[case["case"]] = fact
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one case is a line of the answer
            reason = error if isinstance(error, BadCaseError) else f"{type(error).__name__}: {error}"
            check.problems.append(f"{case['case']}: {' '.join(str(reason).split())}")
    for case in facts:
        check.parts.setdefault(parts[case], []).append(case)
    usable = {case.get("patient") for case in found.cases if case["case"] in facts}
    for patient, part in part_of.items():
        check.missing.setdefault(part, []).extend([] if patient in usable else [patient])
    twins, leaks = _same_voxels(facts, parts)
    check.problems += [*_incomplete_folders(found), *_patients_in_several_parts(found), *leaks]
    empty = [f"{case}: its label is empty" for case, fact in facts.items() if fact.is_empty]
    check.remarks += [*_odd_spacings(facts), *twins, *empty]
    return check


def _parts_by_patient(splits: Sequence[str], patients: set[str], given: bool) -> tuple[dict[str, str], str]:
    """Patient → part by the first split that knows any of the patients, or by the one given; and its name."""
    for split in splits:
        try:
            parts = load_split_parts(split)
        except ValueError as error:
            raise UsageError(str(error)) from error
        part_of = {patient: part for part, members in parts.items() for patient in members}
        if given or patients & set(part_of):
            return part_of, split
    return {}, ""


def _look_at(name: str, case: Mapping[str, Any], found: FoundDataSet, must_have_label: bool) -> _Facts | None:
    """Reads a case; None where it has no label and needs none."""
    if "error" in case:
        raise BadCaseError(case["error"])
    if "label" not in case:
        if must_have_label:
            raise BadCaseError(f"{case['image']}: found no label for it; fix: add it, as in {found.layout.example}")
        return None
    form = found.layout.form
    image = form.read_image(case)
    classes = form.read_reference(case, image, get_label_map(case.get("label_map", get_data_set(name).label_map)))
    array = image.numpy(force=True)
    return _Facts(
        voxels=hashlib.sha256(array.tobytes()).hexdigest() if np.ptp(array) > 0 else None,
        spacing=_spacing(image) if found.layout.form.has_spacing else None,
        is_empty=classes.shape[-1] > 1 and not classes.any(),
    )


def _spacing(image: MetaTensor) -> tuple[float, ...]:
    return tuple(sorted(float(edge) for edge in voxel_sizes(np.asarray(image.affine))))


def _incomplete_folders(found: FoundDataSet) -> Iterator[str]:
    count = Counter(case.get("part") for case in found.cases if "label" in case)
    for folder, expected in found.layout.folders.items():
        if 0 < count[folder] != expected:
            yield f"{folder}: found {count[folder]} labelled cases; the data set has {expected}"


def _patients_in_several_parts(found: FoundDataSet) -> Iterator[str]:
    """By the folders of the data set; a committed split has each patient once."""
    parts = defaultdict(set)
    for case in found.cases:
        if "patient" in case and "part" in case:
            parts[case["patient"]].add(case["part"])
    for patient, its in parts.items():
        if len(its) > 1:
            yield f"{patient}: is in {' and in '.join(sorted(its))}; scores would be of a patient that was trained on"


def _same_voxels(facts: Mapping[str, _Facts], parts: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Images that are there twice: within a part, and in two parts."""
    twins, leaks = [], []
    same = defaultdict(list)
    for case, fact in facts.items():
        if fact.voxels is not None:
            same[fact.voxels].append(case)
    for first, *others in same.values():
        for other in others:
            if parts[first] == parts[other]:
                twins.append(f"{other}: its image has the very voxels of {first}")
            else:
                leaks.append(f"{other} ({parts[other]}): its image has the very voxels of {first} ({parts[first]})")
    return twins, leaks


def _odd_spacings(facts: Mapping[str, _Facts]) -> Iterator[str]:
    spacings = {case: np.array(fact.spacing) for case, fact in facts.items() if fact.spacing is not None}
    if not spacings:
        return
    median = np.median(list(spacings.values()), axis=0)
    for case, spacing in spacings.items():
        if np.abs(np.log(spacing / median)).max() > np.log(OUTLIER):
            yield f"{case}: voxels of {_edges(spacing)} mm; the data set's median is {_edges(median)}"


def _edges(spacing: np.ndarray) -> str:
    return " x ".join(f"{edge:.3g}" for edge in spacing)


def describe(check: DataCheck) -> list[str]:
    """The result as lines of text."""
    data_set, found = get_data_set(check.name), check.found
    patients = {case["patient"] for case in found.cases if "patient" in case}
    labelled = sum("label" in case for case in found.cases)
    lines = [
        f"{data_set.title}: {labelled} labelled cases{f' of {len(patients)} patients' if patients else ''}, laid out "
        f"as {found.layout.example}",
        f"split {check.split}" if check.split else "no committed split; parts are the folders",
    ]
    for part in dict.fromkeys([*check.missing, *found.layout.folders, *check.parts]):
        lines.append(f"  {part or 'other':<12} {_part(check, part)}")
    if labelled < len(found.cases):
        lines.append(f"  {'unlabelled':<12} {len(found.cases) - labelled} images")
    if found.unknown:
        lines.append(f"{len(found.unknown)} other files left out: {some_of(found.unknown, _SHOWN)}")
    if not found.layout.form.has_spacing:
        lines.append("these files have no voxel sizes: distances and volumes can only be counted in voxels")
    for title, entries in (("problems", check.problems), ("worth a look", check.remarks)):
        lines += [f"{title}: {len(entries) or 'none'}", *(f"  {entry}" for entry in entries)]
    return lines


def _part(check: DataCheck, part: str) -> str:
    text = f"{len(check.parts.get(part, []))} usable cases"
    if expected := check.found.layout.folders.get(part):
        text += f" of {expected}"
    if part in check.missing:
        missing = check.missing[part]
        text += (
            f"; missing patients: {len(missing)} ({some_of(missing, _SHOWN)})" if missing else "; no patient missing"
        )
    return text


def how_to_get(name: str) -> list[str]:
    """Where a data set is, its terms, and how its files must lie."""
    data_set = get_data_set(name)
    return [
        f"how to get {data_set.title}: {data_set.source}",
        f"licence: {data_set.licence}",
        *(f"layout: {layout.example}" for layout in data_set.layouts),
    ]


def run(args: argparse.Namespace) -> int:
    """Checks and prints; 0 complete and usable, 1 something is missing or unusable."""
    lines, exit_code = how_to_get(args.dataset), 0
    if args.folder is not None:
        check = check_data(args.dataset, args.folder, args.split, args.quiet)
        lines, exit_code = [*describe(check), *lines], check.exit_code
    print("\n".join(lines))
    return exit_code
