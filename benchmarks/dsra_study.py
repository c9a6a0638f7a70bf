# SPDX-License-Identifier: Apache-2.0
"""What DSRA gives: the same network with and without it, same data, schedule and seeds, trained by the bundles' config.

    python benchmarks/dsra_study.py --data DIR --output DIR              every cell of dsra_study.yaml, then the table
    python benchmarks/dsra_study.py --data DIR --output DIR --only hippocampus/with_DSRA/0     one cell
    python benchmarks/dsra_study.py --output DIR --table                 the table of what is finished

A cell is one training: study/variant/seed. Each leaves ``result.json`` with the validation Dice of its last epoch (none
is chosen), by the network's own rule, by its finest stage and by the sum of its stages; finished cells are skipped, a
killed one goes on after its last epoch. ``results.csv`` holds them all.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml
from monai.bundle import ConfigWorkflow
from monai.engines import SupervisedEvaluator
from pranet_monai.storage.tables import write_atomically
from scipy import stats
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
STUDY = Path(__file__).with_suffix(".yaml")


class Cell(NamedTuple):
    """One training of a study."""

    study: str
    variant: str
    seed: int

    @property
    def name(self) -> str:
        """Its folder, and its name on the command line."""
        return f"{self.study}/{self.variant.replace(' ', '_')}/{self.seed}"


def cells(studies: Mapping[str, Any]) -> Iterator[Cell]:
    """All trainings, seed by seed, so that a study that is cut short is still a paired one."""
    for name, study in studies.items():
        for seed in study["seeds"]:
            for variant in study["variants"]:
                yield Cell(name, variant, seed)


def train(cell: Cell, study: Mapping[str, Any], data: Path, folder: Path, workers: int) -> dict[str, Any]:
    """Trains one cell and returns what its ``result.json`` holds."""
    bundle = ROOT / "bundles" / study["bundle"]
    overrides = {
        "bundle_root": str(bundle), "dataset_dir": str(data / study["dataset_dir"]), "output_dir": str(folder),
        "ckpt_dir": str(folder), "seed": cell.seed, "resume": True, "num_workers": workers,
        **study["overrides"], **options_of(study, cell.variant),
    }  # fmt: skip
    _forget_finished(folder / "training_state.pt", study["overrides"]["epochs"])
    start = time.perf_counter()
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / "train.json"), workflow_type="train", logging_file=False, **overrides
    )
    workflow.initialize()
    workflow.run()
    validator = workflow.parser.get_parsed_content("validate#evaluator")
    dice = _dice_by_rule(validator)
    workflow.finalize()
    (folder / "training_state.pt").unlink(missing_ok=True)  # results matter here, weights don't
    (folder / "model_trained.pt").unlink(missing_ok=True)
    return {"cell": cell.name, **dice, "seconds": round(time.perf_counter() - start, 1), **_machine()}


def options_of(study: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """What a variant changes in the config: options of the network, and where a name has a "#", of anything else."""
    options = study["variants"][variant]
    elsewhere = {name: value for name, value in options.items() if "#" in name}
    network = {name: value for name, value in options.items() if name not in elsewhere}
    return {"network_def": {**study["network"], **network}, **elsewhere}


def _dice_by_rule(validator: SupervisedEvaluator) -> dict[str, float]:
    """Dice of the last validation, by the network's own rule; by the finest stage alone; by the sum of the stages."""
    dice, own = float(validator.state.metrics["dice"]), validator.network.rule
    found = {"dice": dice}
    for rule in ("finest", "sum"):
        if rule != own:
            validator.network.rule = rule
            validator.run()
        found[f"dice_{rule}"] = dice if rule == own else float(validator.state.metrics["dice"])
    return found


def _forget_finished(state: Path, epochs: int) -> None:
    """A run killed between its last epoch and its result can't be resumed: train that cell anew."""
    if state.is_file() and torch.load(state, map_location="cpu", weights_only=True)["epoch"] >= epochs:
        state.unlink()


def _machine() -> dict[str, Any]:
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} thread(s)"
    return {"machine": f"{platform.machine()}, {accelerator}", "torch": torch.__version__}


def results(studies: Mapping[str, Any], output: Path) -> pd.DataFrame:
    """One row per finished cell, as its ``result.json`` says."""
    files = [output / cell.name / "result.json" for cell in cells(studies)]
    return pd.DataFrame([json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()])


def table(studies: Mapping[str, Any], finished: pd.DataFrame) -> str:
    """Markdown of the finished cells: Dice per variant, and its paired difference to the first variant."""
    lines = [
        "| data, network | variant | seeds | Dice, mean ± sd | paired difference [95 % CI] | pairs |",
        "|---|---|---|---|---|---|",
    ]
    dice_of_cell = _dice_of_cells(finished, "dice")
    for name, study in studies.items():
        scores = {variant: _scores(name, variant, study["seeds"], dice_of_cell) for variant in study["variants"]}
        first = next(iter(scores))
        for variant, dice in scores.items():
            if not dice:
                continue
            pairs = len(dice.keys() & scores[first].keys())
            difference = " | " if variant == first else f"{paired_difference(dice, scores[first])} | {pairs}"
            lines.append(
                f"| {study['title']} | {variant} | {len(dice)} | {_spread(list(dice.values()))} | {difference} |"
            )
    return "\n".join(lines) + "\n"


def table_of_rules(studies: Mapping[str, Any], finished: pd.DataFrame) -> str:
    """Markdown of what the finest stage and the sum of the stages are worth, where a study says so."""
    lines = [
        "| data, network | variant | seeds | finest stage | sum of the stages | finest - sum [95 % CI] |",
        "|---|---|---|---|---|---|",
    ]
    finest_of_cell, sum_of_cell = _dice_of_cells(finished, "dice_finest"), _dice_of_cells(finished, "dice_sum")
    for name, study in studies.items():
        for variant in study["variants"]:
            finest, summed = (_scores(name, variant, study["seeds"], found) for found in (finest_of_cell, sum_of_cell))
            if finest:
                cells_of_row = [study["title"], variant, str(len(finest)), _spread(list(finest.values()))]
                cells_of_row += [_spread(list(summed.values())), paired_difference(finest, summed)]
                lines.append(f"| {' | '.join(cells_of_row)} |")
    return "\n".join(lines) + "\n"


def table_of_parts(studies: Mapping[str, Any], finished: pd.DataFrame) -> str:
    """Markdown of what each part is worth: Dice of the variant with it less that of the one that lacks nothing else."""
    lines = [
        "| part | data, network | by the finest stage [95 % CI] | by the sum of the stages [95 % CI] | pairs |",
        "|---|---|---|---|---|",
    ]
    by_rule = [_dice_of_cells(finished, column) for column in ("dice_finest", "dice_sum")]
    for part in dict.fromkeys(part for study in studies.values() for part in study.get("parts", {})):
        having = {name: study for name, study in studies.items() if part in study.get("parts", {})}
        rows = [(study["title"], {name: study}) for name, study in having.items()]
        for title, chosen in [*rows, ("all of these", having)]:
            pairs = [[_paired(chosen, part, which, found) for which in (0, 1)] for found in by_rule]
            count = len(pairs[0][0].keys() & pairs[0][1].keys())
            if count:
                differences = " | ".join(paired_difference(with_it, without) for with_it, without in pairs)
                lines.append(f"| {part} | {title} | {differences} | {count} |")
    return "\n".join(lines) + "\n"


def _paired(studies: Mapping[str, Any], part: str, which: int, found: Mapping[str, float]) -> dict[Any, float]:
    """Study and seed → Dice of one of a part's two variants."""
    return {
        (name, seed): dice
        for name, study in studies.items()
        for seed, dice in _scores(name, study["parts"][part][which], study["seeds"], found).items()
    }


def _dice_of_cells(finished: pd.DataFrame, column: str) -> dict[str, float]:
    """Cell → Dice of a rule, where it was measured."""
    known = finished.dropna(subset=[column]) if column in finished else finished[:0]
    return dict(zip(known["cell"], known[column], strict=True)) if len(known) else {}


def _scores(name: str, variant: str, seeds: list[int], dice_of_cell: Mapping[str, float]) -> dict[int, float]:
    """Seed → Dice of the finished cells."""
    names = {seed: Cell(name, variant, seed).name for seed in seeds}
    return {seed: dice_of_cell[cell] for seed, cell in names.items() if cell in dice_of_cell}


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.4f}" + (f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else "")


def paired_difference(dice: Mapping[Any, float], other: Mapping[Any, float]) -> str:
    """Mean of the differences seed by seed, with the interval of Student's t."""
    differences = [dice[seed] - other[seed] for seed in dice if seed in other]
    if len(differences) < 2:
        return f"{differences[0]:+.4f}" if differences else ""
    mean, error = float(np.mean(differences)), float(stats.sem(differences))
    low, high = (mean + sign * error * stats.t.ppf(0.975, len(differences) - 1) for sign in (-1, 1))
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def main() -> None:
    """Trains what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=STUDY, help="the studies (%(default)s)")
    parser.add_argument(
        "--data", type=Path, help="folder with the data sets' folders, as dataset_dir in the config says"
    )
    parser.add_argument("--output", type=Path, required=True, help="a folder per cell, results.csv and table.md")
    parser.add_argument("--only", default="", metavar="START", help="only cells whose name starts so")
    parser.add_argument("--workers", type=int, default=0, help="processes that load slices (%(default)s)")
    parser.add_argument("--table", action="store_true", help="train nothing")
    args = parser.parse_args()
    studies = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    todo = [cell for cell in cells(studies) if cell.name.startswith(args.only)]
    if not todo:
        parser.error(f"--only {args.only}: no cell starts so; there are {', '.join(c.name for c in cells(studies))}")
    if not args.table and args.data is None:
        parser.error("--data is needed to train")
    for cell in tqdm([] if args.table else todo, desc="cells"):
        result = args.output / cell.name / "result.json"
        if result.is_file():
            continue
        result.parent.mkdir(parents=True, exist_ok=True)
        found = train(cell, studies[cell.study], args.data, result.parent, args.workers)
        write_atomically(result, json.dumps(found, indent=2))
        tqdm.write(f"{cell.name}: Dice {found['dice']:.4f} in {found['seconds']:.0f} s")
    finished = results(studies, args.output)
    write_atomically(args.output / "results.csv", finished.to_csv(index=False))
    text = "\n".join(made(studies, finished) for made in (table, table_of_rules, table_of_parts))
    write_atomically(args.output / "table.md", text)
    print(text)


if __name__ == "__main__":
    main()
