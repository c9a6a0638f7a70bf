# SPDX-License-Identifier: Apache-2.0
"""A bundle for a labelled folder: looked through, planned, timed on this machine, written as a few lines to read."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from pranet_monai.apps.build_bundles import write_bundle
from pranet_monai.apps.training_speed import measure_speed
from pranet_monai.apps.workflow import SETUP_LOGGERS
from pranet_monai.bundle_store import Bundle
from pranet_monai.bundle_store.find import name_to_type
from pranet_monai.bundle_store.install import made_beside
from pranet_monai.bundle_store.places import user_folder
from pranet_monai.data.splits import cases_of_split
from pranet_monai.errors import UsageError
from pranet_monai.forms import KindName
from pranet_monai.geometry import ANATOMICAL_AXES
from pranet_monai.networks.backbones import BACKBONES
from pranet_monai.planning.budget import schedule
from pranet_monai.planning.case_facts import CaseFacts
from pranet_monai.planning.description import Description, read_description
from pranet_monai.planning.groups import Patients, group_patients
from pranet_monai.planning.plan import Entry, Machine, as_yaml, plan_facts
from pranet_monai.planning.survey import Survey, survey
from pranet_monai.quiet import quiet
from pranet_monai.storage.tables import write_atomically, write_json

__all__ = ["new_bundle", "run"]

BACKBONE = "efficientnet_lite0"
RECIPES: Mapping[KindName, str] = {"volume": "planned", "image": "planned_images"}
FOLDS = 5
SPLIT = "split.json"
ENDING = "_segmentation"  # by which MONAI Label knows what a bundle is for
TIMED_CASES = 4
HEADING = """\
What pranet-monai new-bundle made of a folder. Change what you know better: train builds the configs from this file.
What it doesn't state is in the recipe, in bundle_parts of the package."""
CARD = """\
# {name}

Planned by `pranet-monai new-bundle` for {cases} labelled {kind}s of {patients} patients ({title}).

**Research only; not a medical device.**

## What it is for

Say it here: which patients, devices and sequences it has seen.

## What it is not for

- Diagnosis or treatment.
- Say here what it has not seen.

## Scores

Measured on the validation part of [split.json](../split.json), patients that were not trained on. They also chose the
epoch, so a new patient may score a little lower.

<!-- scores: validation/summary.json -->
<!-- end of scores -->

## Where it fails

Say it here, with a picture of the worst case.

## Data and licence

See [data_license.txt](data_license.txt).

## How to run it

```bash
pranet-monai segment INPUT OUTPUT --bundle {name}
```
"""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}")


def new_bundle(
    name: str,
    data: str | Path,
    hours: float = 2.0,
    output: str | Path | None = None,
    kind: KindName | None = None,
    patient: str | None = None,
    quiet: bool = False,
) -> tuple[Path, list[str]]:
    """Plans a bundle and writes it, ready to train.

    Args:
        name: short name of the bundle; its folder's ends in ``_segmentation``.
        data: labelled folder, see :func:`~pranet_monai.data.cases.find_cases`.
        hours: that the training may take.
        output: folder that gets the bundle's; default: the user's data folder.
        kind: of the cases, where the folder holds both.
        patient: regular expression that finds in a case's name whose it is.
        quiet: show no progress bar.

    Returns:
        The bundle's folder, and what there is to say of the data, in lines.

    Raises:
        UsageError: the folder has nothing to learn from, fewer than two patients, or the name is taken.
    """
    if not _NAME.fullmatch(name) or not hours > 0:
        raise UsageError(
            f"new-bundle {name} --hours {hours:g}: allowed: a name of letters, digits, _ and -; hours above 0"
        )
    short_name = name.removesuffix(ENDING)
    target = Path(output or user_folder()).expanduser().resolve() / f"{short_name}{ENDING}"
    if target.exists():
        raise UsageError(f"{target}: found a bundle there already; fix: another name, or remove that folder")
    said = read_description(Path(data).expanduser())
    found = survey(data, kind, quiet, len(said.modalities), said.names)
    patients = group_patients(found, patient)
    machine, remark = _machine()
    facts = {
        "recipe": Entry(RECIPES[found.kind]),
        "short_name": Entry(short_name, "what people type: --bundle NAME"),
        "data": Entry(str(found.folder.resolve()), "where the labelled cases are"),
        **_terms(said),
        **plan_facts(found, said, machine),
        **_split_facts(patients),
    }
    with made_beside(target, replace=False) as partial:
        _write_files(partial, found, patients, said, short_name)
        _write_plan(partial, facts)
        planned = _timed(partial, found, patients, facts, hours)
        _write_plan(partial, facts | planned)
    lines = [*_account(found, patients), *said.remarks, *_not_as_said(found, said), *([remark] if remark else [])]
    return target, lines


def run(args: argparse.Namespace) -> int:
    """Plans, and prints what was found and what to do next; 1 where some cases can't be used."""
    with quiet(*SETUP_LOGGERS):
        folder, lines = new_bundle(args.name, args.data, args.hours, args.output, args.kind, args.patient, args.quiet)
    print("\n".join(lines))
    print(f"\n{(folder / 'bundle.yaml').read_text(encoding='utf-8')}")
    print(f"written: {folder / 'bundle.yaml'}; read it, change what you know better, then")
    print(f"pranet-monai train {name_to_type(Bundle(folder))}")
    return 0


def _machine() -> tuple[Machine, str]:
    """This machine, and what it lacks."""
    package = BACKBONES[BACKBONE].package
    try:
        package.path()
        return Machine(torch.cuda.is_available(), True), ""
    except UsageError as error:
        return Machine(torch.cuda.is_available(), False), f"no pretrained weights: {error}"


def _terms(said: Description) -> dict[str, Entry]:
    facts = {"license": said.licence, "data_source": ", ".join(filter(None, (said.title, said.source)))}
    return {name: Entry(value, "as dataset.json says") for name, value in facts.items() if value}


def _split_facts(patients: Patients) -> dict[str, Entry]:
    first, *others = patients.folds(FOLDS)
    why = f"{len(patients.classes_of)} patients in {1 + len(others)} folds with as much of each class as can be"
    return {
        "split": Entry(f"$@bundle_root + '/{SPLIT}'", why),
        "train_part": Entry(others),
        "val_part": Entry(first, "is not trained on, and chooses the epoch"),
    }


def _write_files(folder: Path, found: Survey, patients: Patients, said: Description, short_name: str) -> None:
    write_json(folder / SPLIT, {"parts": patients.folds(FOLDS)})
    licence = said.licence or "Not stated: write here under which terms the data, and so the weights, may be used."
    write_atomically(folder / "docs" / "data_license.txt", f"{licence}\n")
    card = CARD.format(
        name=short_name,
        cases=len(found.cases),
        kind=found.kind,
        patients=len(patients.classes_of),
        title=said.title or "own data",
    )
    write_atomically(folder / "docs" / "README.md", card)


def _write_plan(folder: Path, facts: Mapping[str, Entry]) -> None:
    write_atomically(folder / "bundle.yaml", as_yaml(facts, HEADING))
    write_bundle(folder)


def _timed(
    folder: Path, found: Survey, patients: Patients, facts: Mapping[str, Entry], hours: float
) -> dict[str, Entry]:
    """Epochs and validations for the time, by a few steps of the planned training."""
    parts = patients.folds(FOLDS)
    held_out = cases_of_split([case.item for case in found.cases], str(folder / SPLIT), next(iter(parts)))
    trained_on = cases_of_split([case.item for case in found.cases], str(folder / SPLIT), list(parts)[1:])
    speed = measure_speed(folder, trained_on[:TIMED_CASES])
    names = {item["case"] for item in trained_on}
    slices = sum(_slices(case, facts) for case in found.cases if case.item["case"] in names)
    batch = facts["batch_size"].value
    plan = schedule(hours, speed, max(1, slices // batch), len(trained_on), len(held_out))
    why = f"about {plan.hours:.2g} h here, of {slices // batch} steps of {speed.step:.2g} s"
    return {"epochs": Entry(plan.epochs, why), "val_interval": Entry(plan.val_interval, "epochs between validations")}


def _slices(case: CaseFacts, facts: Mapping[str, Entry]) -> int:
    axis = facts["axis"].value if "axis" in facts else "axial"
    if isinstance(axis, list):
        return sum(case.size[ANATOMICAL_AXES[plane]] for plane in axis)
    return case.size[ANATOMICAL_AXES.get(axis, 2 if case.stack_axis is None else case.stack_axis)]


def _account(found: Survey, patients: Patients) -> list[str]:
    """What was found, in sentences."""
    lines = [f"{found.folder}: {len(found.cases)} labelled {found.kind}s of {len(patients.classes_of)} patients"]
    if found.problems:
        lines += [f"{len(found.problems)} cases can't be used:", *(f"  {problem}" for problem in found.problems)]
    return [*lines, *found.remarks, *patients.remarks]


def _not_as_said(found: Survey, said: Description) -> list[str]:
    """Classes that ``dataset.json`` names and no label holds, and the other way round."""
    if not said.names or found.kind == "image":
        return []
    unseen = [f"{number} {name}" for number, name in said.names.items() if number not in found.numbers]
    unsaid = [str(number) for number in found.numbers if number not in {*said.names, *said.ignored}]
    lines = [f"dataset.json names {', '.join(unseen)}, which no label holds: left out"] if unseen else []
    return lines + ([f"labels hold {', '.join(unsaid)}, which dataset.json doesn't name"] if unsaid else [])
