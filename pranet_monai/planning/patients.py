# SPDX-License-Identifier: Apache-2.0
"""Which cases are of one patient, by the names that people give to files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from pranet_monai.errors import UsageError

__all__ = ["patients_of"]

# what follows the patient in a name: a frame of a cine, a date, a side, a view, a time point, a visit, a slice
_OF_A_PATIENT = re.compile(
    r"_(ED|ES|4d|cine|frame\d+|(19|20)\d{6}|left|right|[LR]|[SL]A|[234]CH|CC|MLO|baseline|follow-?up"
    r"|(ses|session|visit|scan|timepoint|time|tp|t|v|run|phase|series|volume|slice|sl|z)[-_]?\d+)$",
    re.IGNORECASE,
)
_SERIES = re.compile(r"series(_\d+)?_[0-9a-f]{6}")  # what is told apart of several DICOM series in one folder
_BIDS = re.compile(r"sub-[A-Za-z0-9]+(?=_|$)|BraTS-[A-Za-z]+-\d{5}(?=-\d{3}([_\-]|$))")  # BraTS numbers the visits
_CHANNEL, _FIRST = re.compile(r"(?<=.)_000\d$"), "_0000"  # nnU-Net's, of every image
# folders that hold many patients, in each of which the files may be numbered from 1
_OF_MANY = re.compile(r"(.*[_\- ])?(?i:train(ing)?|val(id(ation)?)?|test(ing)?|images?|imgs?|data|set)([A-Z\d_\- ].*)?")
_NUMBERED = re.compile(r"[^/]*\d[^/]*")  # a folder so named may be a patient's; "images" and "benign" are none


def patients_of(cases: Sequence[Mapping[str, Any]], pattern: str | None = None) -> list[str]:
    """The patient of each case, a folder or the beginning of a name, such as splits list them.

    By the layout of a known data set where it tells; else ``patient003_ED`` and ``patient003_ES`` are of one patient,
    ``sub-01_ses-1_T1w`` of ``sub-01``; files of one name in folders of their own are of the folders, and so are files
    whose names begin with their folder's, such as ``P1/P1_7``. All other cases count as patients.

    Args:
        cases: items of ``find_cases``.
        pattern: a regular expression that finds the patient in a case's name, where people know better.

    Raises:
        UsageError: the pattern is none, or a case has nothing that it finds.
    """
    if pattern is not None:
        found = [_by_pattern(case["case"], pattern) for case in cases]
    else:
        names = [_without_series(PurePosixPath(case["case"])) for case in cases]
        names = _without_channels(names)
        stems = Counter(name.name for name in set(names))
        found = [case.get("patient") or _patient(name, stems) for case, name in zip(cases, names, strict=True)]
    known = set(found)
    return [_shortest(name, known) for name in found]


def _by_pattern(case: str, pattern: str) -> str:
    try:
        match = re.search(pattern, case)
    except re.error as error:
        raise UsageError(
            f"--patient {pattern}: found an invalid regular expression ({error}); such as 'patient[0-9]+'"
        ) from error
    if match is None or not match[0]:
        raise UsageError(f"--patient {pattern}: found no patient by it in {case}; allowed: what fits every case's name")
    return match[0]


def _patient(case: PurePosixPath, stems: Counter[str]) -> str:
    if stems[case.name] > 1 and case.parent.name:
        return case.as_posix() if _OF_MANY.fullmatch(case.parent.name) else case.parent.name
    if match := _BIDS.match(case.name):
        return match[0]
    folder = case.parent.name
    is_of_folder = _NUMBERED.fullmatch(folder) and case.name.startswith((f"{folder}_", f"{folder}."))
    name = folder if is_of_folder else case.name
    while (shorter := _OF_A_PATIENT.sub("", name)) != name and shorter:
        name = shorter
    return name


def _without_channels(cases: list[PurePosixPath]) -> list[PurePosixPath]:
    """The names without nnU-Net's channels, where every image has a first one."""
    bare = [case.with_name(_CHANNEL.sub("", case.name)) for case in cases]
    first = {base.with_name(base.name + _FIRST) for base in bare}
    return bare if len(first) > 1 and first <= set(cases) else cases


def _without_series(case: PurePosixPath) -> PurePosixPath:
    return case.parent if case.parent.name and _SERIES.match(case.name) else case


def _shortest(name: str, known: set[str]) -> str:
    """A split can't tell ``a_2`` from a case of the patient ``a``: where both are names, they are one patient."""
    parts = re.split(r"([_.])", name)
    beginnings = ["".join(parts[:count]) for count in range(1, len(parts), 2)]
    return next((beginning for beginning in beginnings if beginning in known), name)
