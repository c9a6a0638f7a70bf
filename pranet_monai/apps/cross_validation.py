# SPDX-License-Identifier: Apache-2.0
"""A bundle trained several times, each time without one fold of the patients, on whom it is then evaluated: every
patient once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from monai.bundle import ConfigParser
from pranet_monai.apps.training import Training, parts_of
from pranet_monai.apps.workflow import as_path
from pranet_monai.data.folds import split_into_folds
from pranet_monai.data.splits import load_split_parts
from pranet_monai.errors import UsageError
from pranet_monai.metrics import summarise
from pranet_monai.planning.case_facts import look_through
from pranet_monai.planning.patients import patients_of
from pranet_monai.storage.tables import read_csv, write_csv, write_json
from tqdm import tqdm

__all__ = ["cross_validate", "fold_networks"]

SPLIT, TABLE, SUMMARY = "folds.json", "metrics.csv", "summary.json"
LAST = "model_last.pt"
"""What is judged: the weights of the last epoch, as those of the best were chosen by the very cases that judge them."""


def cross_validate(training: Training, folds: int, overrides: Mapping[str, Any]) -> int:
    """Trains and evaluates ``folds`` times; finished folds of an earlier run are kept with ``resume``.

    ``folds.json`` is the split, ``fold0`` … are the trainings with their reports, ``metrics.csv`` and ``summary.json``
    what all of them say of all cases together.

    Args:
        training: its output gets all that.
        folds: 2 or more; the bundle's own folds where it has as many, else its patients are dealt anew.
        overrides: changes of the config.

    Returns:
        0, 1 where cases couldn't be judged, or the code of the training that ended badly.

    Raises:
        UsageError: fewer than 2 folds, fewer patients than that, or a part of a split or a folder for weights is given.
    """
    if given := [id for id in ("train_part", "val_part", "ckpt_dir") if id in overrides]:
        raise UsageError(f"--folds with {', '.join(given)}: found both; allowed: one, as the folds are all of that")
    split, parts = _folds(training, folds, overrides)
    codes, rows, scores = [], [], {}
    for held_out in parts:
        one = replace(training, output=training.output / held_out)
        trained_on = [name for name in parts if name != held_out]
        own_options = {"split": split, "train_part": trained_on, "val_part": held_out, "ckpt_dir": as_path(one.output)}
        if code := one.run({**overrides, **own_options}):
            return code
        report, code = one.judge(one.output / LAST, split, held_out, _for_inference(one, overrides))
        codes.append(code)
        definitions = json.loads((report / SUMMARY).read_text(encoding="utf-8"))["definitions"]
        own = read_csv(report / TABLE)
        scores[held_out] = summarise(own)
        rows += [{"fold": held_out, **row} for row in own]
    summary = {"definitions": definitions} | summarise(rows)
    summary |= {"folds": {name: score["overall"] for name, score in scores.items()}}
    write_csv(training.output / TABLE, rows, list(rows[0]))
    write_json(training.output / SUMMARY, summary)
    print("\n".join(_lines(summary)))
    print(f"written: {training.output / TABLE}, {training.output / SUMMARY}")
    return max(codes)


def fold_networks(output: Path) -> tuple[str, dict[str, Path]]:
    """The split of an ended cross-validation, and for each of its parts the weights that weren't trained on it.

    Args:
        output: the folder that :func:`cross_validate` filled.

    Raises:
        UsageError: it isn't one, or a fold hasn't ended.
    """
    split = output / SPLIT
    if not split.is_file():
        raise UsageError(f"{output}: found no {SPLIT}; allowed: the output folder of `pranet-monai train … --folds N`")
    weights = {part: output / part / LAST for part in load_split_parts(str(split))}
    if missing := [str(path) for path in weights.values() if not path.is_file()]:
        raise UsageError(f"{output}: {', '.join(missing)} missing; fix: `pranet-monai train … --folds N --resume`")
    return as_path(split), weights


def _folds(training: Training, folds: int, overrides: Mapping[str, Any]) -> tuple[str, dict[str, list[str]]]:
    """The file of the split, and its parts."""
    path = training.output / SPLIT
    if not (training.resume and path.is_file()):
        write_json(path, {"parts": _dealt(training, folds, overrides)})
    return as_path(path), load_split_parts(str(path))


def _dealt(training: Training, folds: int, overrides: Mapping[str, Any]) -> dict[str, list[str]]:
    own = parts_of(training.bundle, overrides)
    wanted = [f"fold{number}" for number in range(folds)]
    both = [*own.train_part, *own.val_part]
    if sorted(both) == sorted(wanted):
        return {part: load_split_parts(own.split)[part] for part in wanted}
    cases, names = training.cases(own.split, both), training.classes()
    classes_of: dict[str, set[int]] = defaultdict(set)
    listed: dict[str, set[str]] = defaultdict(set)
    for case, patient in zip(tqdm(cases, desc="dealing folds"), patients_of(cases), strict=True):
        classes_of[patient] |= set(look_through(case, names).numbers)
        listed[patient].add(case["case"])
    dealt = split_into_folds(classes_of, folds)
    return {
        part: sorted(name for who in fold for name in listed[who]) for part, fold in zip(wanted, dealt, strict=True)
    }


def _for_inference(one: Training, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of the training that inference must know as well, such as another size of pixels."""
    known = ConfigParser.load_config_file(str(one.bundle.config("inference")))
    return {id: value for id, value in overrides.items() if id.split("#")[0] in known}


def _lines(summary: Mapping[str, Any]) -> list[str]:
    """The table to print: a fold on each line, then the mean of the folds and of the cases."""
    folds = {name: score["dice"]["mean"] for name, score in summary["folds"].items()}
    values = np.array(list(folds.values()), dtype=float)
    lines = [f"{name:<12} Dice {folds[name]:.4f} (n={score['n']})" for name, score in summary["folds"].items()]
    lines.append(f"{'folds':<12} Dice {values.mean():.4f} ± {values.std(ddof=1):.4f} (n={len(values)})")
    for name, score in [*summary["organs"].items(), ("all cases", summary["overall"])]:
        dice = score["dice"]
        spread = "undefined" if dice["mean"] is None else f"{dice['mean']:.4f} ± {dice['sd'] or 0:.4f}"
        lines.append(f"{name:<12} Dice {spread} (n={score['n']}, missed {score['n_missed']})")
    return lines
