# SPDX-License-Identifier: Apache-2.0
"""A bundle's calibration: what Dice to expect of its masks where there is no reference."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from pranet_monai.apps.calibration_examples import examples_of_case, usual_sizes
from pranet_monai.apps.cross_validation import fold_networks
from pranet_monai.apps.segmenter import Segmenter
from pranet_monai.apps.training import parts_of
from pranet_monai.apps.workflow import as_path
from pranet_monai.bundle_store import CALIBRATION, WEIGHTS, Bundle, find_bundle
from pranet_monai.data.cases import cases_to_train
from pranet_monai.data.splits import cases_of_split, load_split_parts, patient_of_case
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.quality.calibration import write_calibration
from pranet_monai.quality.example_table import ExampleTable
from pranet_monai.quality.examples import calibrated
from pranet_monai.storage.hashing import file_sha256
from tqdm import tqdm

__all__ = ["calibrate", "run"]

_log = logging.getLogger(__name__)


def calibrate(
    bundle: str | Path,
    data: str | Path,
    *,
    split: str | None = None,
    parts: Sequence[str] | None = None,
    folds: Path | None = None,
    copies: int = 3,
    examples: Path | None = None,
    output: Path | None = None,
    device: str | None = None,
    quiet: bool = False,
) -> tuple[Path, Mapping[str, Any]]:
    """Runs a bundle on labelled cases and degraded copies of them, and fits how well its maps predict the true Dice.

    Args:
        bundle: its name or folder; must have weights.
        data: folder of images with references.
        split: of the patients; default: the bundle's own.
        parts: of the split, patients that the weights haven't seen; default: those that the bundle validates on.
        folds: in place of both, the folder of a cross-validation by ``pranet-monai train … --folds``: each of its
            networks segments the patients that it wasn't shown, in place of the bundle's own, trained on all.
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
    split, networks = _networks(found, split, parts, folds)
    segmenter = _segmenter(found, found.folder / WEIGHTS, device)
    cases = cases_to_train(data, segmenter.kind, segmenter.data_set)  # type: ignore[arg-type]
    chosen = {weights: cases_of_split(cases, split, of_parts) for weights, of_parts in networks.items()}
    validated = list(chain(*chosen.values()))
    sizes = usual_sizes(segmenter, validated if folds else [*validated, *_trained_on(cases, found, split)])
    table = ExampleTable(examples, [file_sha256(weights) for weights in networks])
    with tqdm(total=len(validated), desc="cases", unit="case", disable=quiet) as bar:
        for weights, some in chosen.items():
            todo = [case for case in some if case["case"] not in table]
            bar.update(len(some) - len(todo))
            if folds and todo:
                segmenter = _segmenter(found, weights, device)
            for case in todo:
                patient = _patient(case, split, networks[weights])
                with _left_out_if_bad(case):
                    made = examples_of_case(segmenter, case, patient, copies, sizes)
                    table.put(case["case"], made, file_sha256(weights))
                bar.update()
    unseen = list(chain(*networks.values()))
    made_of = {"split": Path(split).name, "parts": unseen, "copies": copies, "networks": len(networks)}
    measured = table.examples_of({case["case"] for case in validated})  # the file may hold those of other parts
    result = calibrated(measured, sizes, file_sha256(found.folder / WEIGHTS), segmenter.passes, made_of)
    write_calibration(target := output or found.folder / CALIBRATION, result)
    return target, result.validation


def _networks(
    bundle: Bundle, split: str | None, parts: Sequence[str] | None, folds: Path | None
) -> tuple[str, dict[Path, list[str]]]:
    """The split, and weights → its parts that these haven't seen."""
    if folds is None:
        own = parts_of(bundle, {})
        return split or own.split, {bundle.folder / WEIGHTS: list(parts or own.val_part)}
    if split or parts:
        raise UsageError("--folds with --split or --part: found both; allowed: one, as the folds are the parts")
    split, weights_of = fold_networks(folds)
    return split, {weights: [part] for part, weights in weights_of.items()}


@contextmanager
def _left_out_if_bad(case: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except BadCaseError as error:
        _log.warning("%s is left out: %s", case["case"], error)


def _segmenter(bundle: Bundle, weights: Path, device: str | None) -> Segmenter:
    overrides = {"quality#gathers": True, "checkpointloader#load_path": as_path(weights)}
    return Segmenter(bundle.folder, device, overrides=overrides)


def run(args: argparse.Namespace) -> int:
    """Calibrates, and says how well it does."""
    if args.copies < 0:
        raise UsageError(f"--copies {args.copies}: allowed: 0 or more")
    target, validation = calibrate(
        args.bundle, args.data, split=args.split, parts=args.part, folds=args.folds, copies=args.copies,
        examples=args.examples, output=args.output, device=args.device, quiet=args.quiet,
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


def _patient(case: Mapping[str, Any], split: str, parts: Sequence[str]) -> str:
    """The patient of a case; in a random split each case counts as one, unless its layout tells whose it is."""
    name = str(case.get("patient", case["case"]))
    if split.startswith("random_"):
        return name
    known = load_split_parts(split)
    return patient_of_case(case, [patient for part in parts for patient in known[part]]) or name


def _trained_on(cases: Sequence[Mapping[str, Any]], bundle: Bundle, split: str) -> Sequence[Mapping[str, Any]]:
    """The training cases as far as they are in the folder: their references tell how large organs are."""
    try:
        return cases_of_split(cases, split, parts_of(bundle, {}).train_part)
    except UsageError:  # a folder of validation cases alone
        return []
