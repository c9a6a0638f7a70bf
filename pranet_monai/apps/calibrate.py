# SPDX-License-Identifier: Apache-2.0
"""A bundle's calibration: what Dice to expect of its masks where there is no reference."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pranet_monai.apps.calibration_examples import examples_of_case, usual_sizes
from pranet_monai.apps.segmenter import Segmenter
from pranet_monai.apps.training import parts_of
from pranet_monai.bundle_store import WEIGHTS, find_bundle
from pranet_monai.data.cases import cases_to_train
from pranet_monai.data.splits import cases_of_split, load_split_parts, patient_of
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.quality.calibration import write_calibration
from pranet_monai.quality.example_table import ExampleTable
from pranet_monai.quality.examples import calibrated
from pranet_monai.storage.hashing import file_sha256
from tqdm import tqdm

__all__ = ["calibrate", "run"]

FILE = Path("models/quality.json")
_log = logging.getLogger(__name__)


def calibrate(
    bundle: str | Path,
    data: str | Path,
    *,
    split: str | None = None,
    parts: Sequence[str] | None = None,
    copies: int = 3,
    examples: Path | None = None,
    output: Path | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> tuple[Path, Mapping[str, Any]]:
    """Runs a bundle on labelled cases and degraded copies of them, and learns what its maps say of the true Dice.

    Args:
        bundle: its name or folder; must have weights.
        data: folder of images with references.
        split: of the patients; default: the bundle's own.
        parts: of the split, patients that the weights haven't seen; default: those that the bundle validates on.
        copies: of each case, made worse on purpose.
        examples: a CSV file that keeps what was measured; cases that it holds for these weights aren't run again.
        output: the file; default: ``models/quality.json`` of the bundle.
        device: see ``torch.device``.
        quiet: no progress bar.

    Returns:
        The file, and how well it does on patients that are left out.

    Raises:
        UsageError: no such bundle, weights, split or cases, or too few patients.
    """
    found = find_bundle(bundle)
    own = parts_of(found, {})
    split, parts = split or own.split, parts or _listed(own.val_part)
    segmenter = Segmenter(found.folder, device, overrides={"quality#gathers": True})
    cases = cases_to_train(data, segmenter.kind, segmenter.data_set)  # type: ignore[arg-type]
    chosen = cases_of_split(cases, split, parts)
    table = ExampleTable(examples, file_sha256(found.folder / WEIGHTS))
    sizes = usual_sizes(segmenter, [*chosen, *_trained_on(cases, split, _listed(own.train_part))])
    for case in tqdm(chosen, "cases", unit="case", disable=quiet):
        if case["case"] not in table:
            try:
                patient = _patient(case, split, parts)
                table.put(case["case"], examples_of_case(segmenter, case, patient, copies, sizes))
            except BadCaseError as error:
                _log.warning("%s is left out: %s", case["case"], error)
    made_of = {"split": Path(split).name, "parts": list(parts), "copies": copies}
    result = calibrated(table.examples, sizes, table.weights_sha256, segmenter.mirrored, made_of)
    target = output or found.folder / FILE
    write_calibration(target, result)
    return target, result.validation


def run(args: argparse.Namespace) -> int:
    """Calibrates, and says how well it does."""
    if args.copies < 0:
        raise UsageError(f"--copies {args.copies}: allowed: 0 or more")
    target, validation = calibrate(
        args.bundle, args.data, split=args.split, parts=args.part, copies=args.copies, examples=args.examples,
        output=args.output, device=args.device, quiet=args.quiet,
    )  # fmt: skip
    print(f"written: {target}; on held-out patients, organ by organ:")
    for name, text in (("unchanged", "cases as they are"), ("all", "with their degraded copies")):
        found = validation[name]
        print(
            f"  {text}: n {found['n']}, Dice below 0.8 in {found['bad']}; mean error {_text(found['mae'])}, "
            f"AUROC {_text(found['auroc'])}, Spearman {_text(found['spearman'])}; review finds "
            f"{_text(found['masks_found'])} of the masks with such an organ, false alarms "
            f"{_text(found['masks_false_alarms'])} of the others"
        )
    return 0


def _text(value: float) -> str:
    return f"{value:.3f}" if value == value else "-"


def _listed(parts: str | Sequence[str]) -> list[str]:
    return [parts] if isinstance(parts, str) else list(parts)


def _patient(case: Mapping[str, Any], split: str, parts: Sequence[str]) -> str:
    """The patient of a case; in a random split each case counts as one."""
    if split.startswith("random_"):
        return str(case["case"])
    known = load_split_parts(split)
    return patient_of(case["case"], [name for part in parts for name in known[part]]) or str(case["case"])


def _trained_on(cases: Sequence[Mapping[str, Any]], split: str, parts: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """The training cases as far as they are in the folder: their references tell how large organs are."""
    try:
        return cases_of_split(cases, split, parts)
    except UsageError:  # a folder of validation cases alone
        return []
