# SPDX-License-Identifier: Apache-2.0
"""Cardiac indices of each patient, from the volumes of the cases that are its ED and ES frames."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pranet_monai.metrics.cardiac import cardiac_indices_of_volumes
from pranet_monai.storage.tables import Row

__all__ = ["CARDIAC_COLUMNS", "ORGANS", "agreement", "cardiac_rows", "find_phases"]

ORGANS = {"lv": "left_ventricle", "rv": "right_ventricle", "myo": "myocardium"}
INDICES = [f"{side}_{name}" for side in ("lv", "rv") for name in ("edv_ml", "esv_ml", "ef")] + [
    "myo_ed_ml",
    "myo_mass_g",
]
CARDIAC_COLUMNS = ["patient", "ed_case", "es_case", "phases", *INDICES, *(f"reference_{name}" for name in INDICES)]

_PHASE = re.compile(r"(?P<patient>.+)[_-](?P<phase>ED|ES)", re.IGNORECASE)
_FRAME = re.compile(r"(?P<patient>.+)_frame(?P<frame>\d+)")
_INFO = re.compile(r"^\s*(ED|ES)\s*:\s*(\d+)\s*$", re.MULTILINE)


class Phases(NamedTuple):
    """The cases that show a patient's heart at its fullest and at its emptiest, and how that is known."""

    ed: str
    es: str
    source: str


def cardiac_rows(cases: Iterable[Row], metrics: Iterable[Row], dataset_dir: Path | None = None) -> list[Row]:
    """Compute the indices of each patient with an ED and an ES case.

    Args:
        cases: rows of ``cases.csv``, measured in ``ORGANS``.
        metrics: rows of ``metrics.csv``; they give the references' indices, as ``reference_…``.
        dataset_dir: folder that the names of the cases are relative to, where ACDC's ``Info.cfg`` files may lie.

    Returns:
        Rows of ``CARDIAC_COLUMNS``: ejection fractions as fractions, the mass at 1.05 g/ml.
    """
    volumes: dict[str, dict[str, float]] = {}
    for row in cases:
        measured = {part: row.get(f"volume_ml_{organ}") for part, organ in ORGANS.items()}
        if None not in measured.values():
            volumes[row["case"]] = {part: float(value or 0) for part, value in measured.items()}
    parts = {organ: part for part, organ in ORGANS.items()}
    references: dict[str, dict[str, float]] = defaultdict(dict)
    for row in metrics:
        if row["organ"] in parts:
            references[row["case"]][parts[row["organ"]]] = row["reference_volume_ml"]
    rows = []
    for patient, (ed, es, source) in find_phases(volumes, dataset_dir).items():
        row = {"patient": patient, "ed_case": ed, "es_case": es, "phases": source}
        row |= cardiac_indices_of_volumes(volumes[ed], volumes[es])
        if ed in references and es in references:
            reference = cardiac_indices_of_volumes(references[ed], references[es])
            row |= {f"reference_{name}": value for name, value in reference.items()}
        rows.append(row)
    return rows


def find_phases(volumes: Mapping[str, Mapping[str, float]], dataset_dir: Path | None = None) -> dict[str, Phases]:
    """Find each patient's ED and ES case.

    By name (``…_ED``, ``…_ES``); else, among cases called ``…_frameNN``, by ACDC's ``Info.cfg``; else the frames with
    the largest and the smallest left ventricle, which is how the phases are defined.

    Args:
        volumes: case → ml of ``lv``.
        dataset_dir: folder that the names of the cases are relative to.

    Returns:
        Patient → phases, sorted by patient.
    """
    named: dict[str, dict[str, str]] = defaultdict(dict)
    frames: dict[str, dict[int, str]] = defaultdict(dict)
    for case in volumes:
        if match := _PHASE.fullmatch(case):
            named[match["patient"]][match["phase"].upper()] = case
        elif match := _FRAME.fullmatch(case):
            frames[match["patient"]][int(match["frame"])] = case
    phases = {patient: Phases(found["ED"], found["ES"], "name") for patient, found in named.items() if len(found) == 2}
    for patient, cases in frames.items():
        info = _read_info(dataset_dir / Path(patient).parent / "Info.cfg") if dataset_dir else {}
        if info.get("ED") in cases and info.get("ES") in cases:
            phases[patient] = Phases(cases[info["ED"]], cases[info["ES"]], "Info.cfg")
        elif len(cases) > 1:
            by_size = sorted(cases.values(), key=lambda case: volumes[case]["lv"])
            phases[patient] = Phases(by_size[-1], by_size[0], "largest and smallest left ventricle")
    return dict(sorted(phases.items()))


def agreement(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Bias and 95 % limits of agreement with the references (Bland and Altman 1986), of two patients at least.

    Args:
        rows: of :func:`cardiac_rows`.

    Returns:
        Index → ``n``, ``bias`` (prediction minus reference), ``low`` and ``high`` (bias ± 1.96 sd).
    """
    result = {}
    for name in INDICES:
        pairs = [(row.get(name), row.get(f"reference_{name}")) for row in rows]
        differences = [a - b for a, b in pairs if a is not None and b is not None and a == a and b == b]
        if len(differences) > 1:
            bias, spread = statistics.fmean(differences), 1.96 * statistics.stdev(differences)
            result[name] = {"n": len(differences), "bias": bias, "low": bias - spread, "high": bias + spread}
    return result


def _read_info(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    return {phase: int(frame) for phase, frame in _INFO.findall(path.read_text(encoding="utf-8", errors="replace"))}
