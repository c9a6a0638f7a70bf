# SPDX-License-Identifier: Apache-2.0
"""Which patients are for training, which choose the model, which judge it: committed files, loaded with a check."""

from __future__ import annotations

import json
import logging
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pranet_monai.errors import UsageError, some_of

__all__ = ["cases_of_split", "load_split", "load_split_parts", "patient_of", "patient_of_case"]

_log = logging.getLogger(__name__)

# drawn at random from whatever cases there are, for data sets without a committed split
_RANDOM = re.compile(r"random_(?P<train>[1-9]\d*)_(?P<val>[1-9]\d*)")
_FOLDER = Path(__file__).parent / "splits"


def load_split(name: str, part: str) -> list[str]:
    """The patients of one part of a split.

    Args:
        name: a file of ``data/splits`` without its extension, e.g. ``"acdc_70_10_20"``, or the path of a JSON file of
            one's own with the same keys.
        part: e.g. ``"train"``, ``"val"``, ``"test"`` or ``"fold0"``.

    Raises:
        UsageError: when the split or the part is unknown (lists the known ones), when the file isn't made so, or when a
            patient is in two parts.
    """
    parts = load_split_parts(name)
    _check_part(name, part, parts)
    return parts[part]


def load_split_parts(name: str) -> dict[str, list[str]]:
    """All parts of a split: part → patients. See :func:`load_split`."""
    path = Path(name) if name.endswith(".json") else _FOLDER / f"{name}.json"
    if not path.is_file():
        known = sorted(file.stem for file in _FOLDER.glob("*.json"))
        raise UsageError(
            f"split {name!r} is unknown; known: {', '.join(known)}, random_90_10 (any two numbers), or the path of a "
            ".json file"
        )
    parts = _read_parts(path)
    count = Counter(patient for patients in parts.values() for patient in patients)
    doubled = sorted(patient for patient, times in count.items() if times > 1)
    if doubled:
        raise UsageError(
            f"split {path}: {len(doubled)} patients are in more than one place ({some_of(doubled)}); "
            "allowed: each patient once, or the scores would be of patients that the model has seen"
        )
    return parts


def _read_parts(path: Path) -> dict[str, list[str]]:
    allowed = 'allowed: {"parts": {"train": ["patient1", ...], "val": [...]}}'
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"split {path}: found text that is not valid JSON ({error}); {allowed}") from error
    parts = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(parts, dict):
        raise UsageError(f'split {path}: found no "parts" that are named lists; {allowed}')
    for part, patients in parts.items():
        if not isinstance(patients, list) or not all(isinstance(patient, str) for patient in patients):
            raise UsageError(f"split {path}: found {patients!r} as part {part!r}, no list of names; {allowed}")
    return parts


def _check_part(name: str, part: str, parts: Mapping[str, Any]) -> None:
    if part not in parts:
        raise UsageError(f"split {name!r} has no part {part!r}; it has: {', '.join(parts)}")


def patient_of(case: str, patients: list[str]) -> str | None:
    """The patient whose case this is: ``imagesTr/patient003_ED`` → ``patient003``; None for one that isn't listed.

    A list may also name single cases in full, as ``imagesTr/patient003_ED``.
    """
    folders_and_name = case.replace("\\", "/").split("/")
    found = [
        patient
        for patient in patients
        if case == patient
        or any(part == patient or part.startswith((f"{patient}_", f"{patient}.")) for part in folders_and_name)
    ]
    return found[0] if found else None


def cases_of_split(
    cases: Sequence[Mapping[str, Any]],
    name: str,
    part: str | Sequence[str],
    apart_from: Sequence[Mapping[str, Any]] = (),
) -> list[Mapping[str, Any]]:
    """The cases whose patients are in one part of a split, or in one of several (the folds to train on), for training.

    Args:
        cases: what :func:`~pranet_monai.data.cases.find_cases` gives, or
            :func:`~pranet_monai.data.datasets.find_data_set`; cases of other patients are left out.
        name: of the split, see :func:`load_split`; or ``"random_90_10"``, say, which deals the cases out to "train" and
            "val" in these proportions, always the same way. It can't know which images show the same patient, and
            leaves out what can't be used, with a warning.
        part: of the split, or several; [] for no case at all, as in a last training on all patients.
        apart_from: cases that must not be among these, nor others of their patients: those trained on.

    Raises:
        UsageError: a patient of this part has no case, or one of its cases can't be used: training on less than the
            split says would give scores of another experiment. Or a patient is in `apart_from`, too.
    """
    parts = [part] if isinstance(part, str) else part
    if random_split := _RANDOM.fullmatch(name):
        dealt = _deal_out(cases, int(random_split["train"]), int(random_split["val"]))
        for one in parts:
            _check_part(name, one, dealt)
        chosen = [case for one in parts for case in dealt[one]]
        _check_apart(name, part, {case["case"] for case in chosen} & {case["case"] for case in apart_from})
        return chosen
    patients = [patient for one in parts for patient in load_split(name, one)]
    chosen = _cases_of_patients(cases, patients, f"split {name!r}, part {part!r}")
    _check_apart(name, part, {patient for case in apart_from if (patient := patient_of_case(case, patients))})
    return chosen


def patient_of_case(case: Mapping[str, Any], patients: list[str]) -> str | None:
    """The patient of a case as ``find_cases`` lists it: by the data set's layout, or else by its name."""
    return case["case"] if case["case"] in patients else patient_of(case.get("patient", case["case"]), patients)


def _cases_of_patients(cases: Sequence[Mapping[str, Any]], patients: list[str], where: str) -> list[Mapping[str, Any]]:
    found = [(patient_of_case(case, patients), case) for case in cases]
    unusable = [f"{case['case']}: {case['error']}" for patient, case in found if patient and "error" in case]
    if unusable:
        raise UsageError(f"{where}: cases that can't be used:\n  " + "\n  ".join(unusable))
    missing = sorted(set(patients) - {patient for patient, _ in found if patient})
    if missing:
        raise UsageError(
            f"{where}: {len(missing)} of {len(patients)} patients have no case in the data folder: {some_of(missing)}. "
            "Check dataset_dir, or name a split file of your own (split=FILE.json)."
        )
    return [case for patient, case in found if patient]


def _check_apart(name: str, part: str | Sequence[str], shared: set[str]) -> None:
    if shared:
        raise UsageError(
            f"split {name!r}: {len(shared)} of part {part!r} are trained on as well: {some_of(sorted(shared))}; "
            "allowed: no common patient, or the score would be of patients that the network has seen; fix: train_part "
            "or val_part (val_part [] trains without validation)"
        )


def _deal_out(cases: Sequence[Mapping[str, Any]], train: int, val: int) -> dict[str, list[Mapping[str, Any]]]:
    """Usable cases at random into "train" and "val", at least one of each."""
    usable = sorted((case for case in cases if "error" not in case), key=lambda case: case["case"])
    unusable = [f"{case['case']}: {case['error']}" for case in cases if "error" in case]
    if unusable:
        more = f"\n  and {len(unusable) - 5} more" if len(unusable) > 5 else ""
        _log.warning("%d cases can't be used and are left out:\n  %s%s", len(unusable), "\n  ".join(unusable[:5]), more)
    if len(usable) < 2:
        raise UsageError(f"found {len(usable)} usable case(s); a random split needs 2 or more: check dataset_dir")
    random.Random(0).shuffle(usable)
    for_validation = min(max(1, round(len(usable) * val / (train + val))), len(usable) - 1)
    return {"train": usable[for_validation:], "val": usable[:for_validation]}
