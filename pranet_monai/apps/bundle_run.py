# SPDX-License-Identifier: Apache-2.0
"""What the configs of the bundles call around a run: wrong use ends at once with exit code 2, failed cases with 1.

``monai.bundle run`` turns exceptions into tracebacks of its own, but lets SystemExit through.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import torch
from pranet_monai.apps.endings import (
    KEPT_CASES,
    KEPT_EPOCHS,
    errors_in_one_line,
    full_disk_exits,
    install_excepthook,
    is_command,
)
from pranet_monai.apps.overrides import check_argv
from pranet_monai.data.cases import find_cases
from pranet_monai.data.splits import cases_of_split
from pranet_monai.engines.case_dataset import check_workers
from pranet_monai.engines.weights import find_weights, weights_to_start_from
from pranet_monai.errors import UsageError, some_of
from pranet_monai.forms import KindName
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.forms.search import SeriesNames
from pranet_monai.forms.shard import Shard
from pranet_monai.storage.paths import given_path
from pranet_monai.transforms.save import AsLabelsd

if TYPE_CHECKING:
    from monai.engines import Trainer
    from monai.inferers import Inferer
    from pranet_monai.engines.case_evaluator import CaseEvaluator
    from pranet_monai.reports import RunReport

__all__ = [
    "check_device",
    "check_parts",
    "check_run",
    "check_training",
    "finish_run",
    "merge_run",
    "run_cases",
    "run_training",
]


def check_run(
    dataset_dir: str | Path,
    output_dir: str | Path,
    weights: str | Path,
    official_checkpoint: str | None = None,
    kind: KindName = "volume",
    device: torch.device | str = "cpu",
    switches: Mapping[str, Any] | None = None,
    shard: str | None = None,
) -> None:
    """Ends the run before anything is loaded where the folder, the output, the weights or an option can't be right.

    Args:
        dataset_dir: must hold at least one image.
        output_dir: must be, or become, a folder that can be written to.
        weights: must be a file.
        official_checkpoint: the authors' file that they can be made of, if there is one.
        kind: of the cases, as in ``find_cases``.
        device: where the network is to run.
        switches: id → value, which must be True or False.
        shard: the share of the cases, such as "3/8"; None for all.

    Raises:
        SystemExit: with code 2, after one line on stderr that says what to do.
    """
    install_excepthook()
    with errors_in_one_line(KEPT_CASES):
        check_argv(sys.argv[1:])
        part = None if shard is None else Shard.parse(shard)
        _check_options({"dataset_dir": dataset_dir, "output_dir": output_dir}, switches or {})
        check_device(device, "device")
        find_cases(dataset_dir, output_dir=output_dir, kind=kind)
        find_weights(weights, official_checkpoint)
        _check_writable(Path(output_dir).expanduser())
        folder = RunFolder(output_dir, part)
        folder.check_unlocked()
        folder.reviews.check()


def check_parts(
    cases: Sequence[Mapping[str, Any]], inferer: Inferer, postprocessing: Callable, workers: int | None = 0
) -> None:
    """Lets a config make what can be wrong in it before a former report is touched.

    Args:
        cases: as ``find_cases`` lists them; making them refuses what it can't understand.
        inferer: must give labels or probabilities.
        postprocessing: the transforms that make masks of that.
        workers: processes beside the network's, see ``CaseLoader``.

    Raises:
        SystemExit: with code 2, after one line on stderr that says what to do.
    """
    with errors_in_one_line(KEPT_CASES):
        check_workers(workers)
        output = getattr(getattr(inferer, "inferer", inferer), "output", None)  # of what a MultiViewInferer holds, too
        if output == "logits" and any(
            isinstance(step, AsLabelsd) for step in getattr(postprocessing, "transforms", ())
        ):
            raise UsageError(
                "inferer#output 'logits': found nothing that makes masks of logits; allowed: 'labels', "
                "'probabilities'; fix: --save_probabilities True writes maps beside the masks"
            )


def check_device(device: torch.device | str, option: str) -> None:
    """Refuses a device that this machine doesn't have.

    Args:
        device: its name, as for ``torch.device``.
        option: what it was given as, for the error.

    Raises:
        UsageError: says what is wrong with it.
    """
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
        if found.type == "meta":
            raise NotImplementedError("it holds no numbers")
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = shorten(str(error), 60)
        raise UsageError(
            f"{option} {device}: found no such device ({reason}); allowed: cpu, or a GPU of this machine"
        ) from error


def check_training(
    dataset_dir: str | Path,
    split: str,
    train_part: str | Sequence[str],
    val_part: str | Sequence[str],
    finetune_from: str | Path | None = None,
    kind: KindName = "volume",
    data_set: str | None = None,
    series_names: SeriesNames = "study",
    output_dir: str | Path = "runs",
    device: torch.device | str = "cpu",
    switches: Mapping[str, Any] | None = None,
    counts: Mapping[str, Any] | None = None,
) -> None:
    """Ends a training of the command line before anything is loaded where its options, data or split can't be right.

    A training that another program builds (MONAI Label, a test) gets the errors as they are, when it comes to
    them; so does one whose volumes don't come from `dataset_dir`.

    Args:
        dataset_dir: must hold the cases of the split.
        split: see :func:`~pranet_monai.data.splits.cases_of_split`.
        train_part: of the split.
        val_part: of the split, apart from `train_part`.
        finetune_from: must be a file where it is given.
        kind: of the cases, as in ``find_cases``.
        data_set: whose layouts are understood, as in ``find_cases``.
        series_names: how DICOM series are named, as in ``find_cases``.
        output_dir: where the training writes.
        device: where the network is to be trained.
        switches: id → value, which must be True or False.
        counts: id → value, which must be a whole number, 1 or more.

    Raises:
        SystemExit: with code 2, after one line on stderr that says what to do.
    """
    arguments = sys.argv[1:]
    if arguments[:1] != ["run"] and not is_command():
        return
    install_excepthook()
    with errors_in_one_line(KEPT_EPOCHS):
        check_argv(arguments)
        _check_options({"dataset_dir": dataset_dir, "output_dir": output_dir}, switches or {})
        check_device(device, "device")
        for name, value in (counts or {}).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(f"{name} {value!r}: allowed: whole numbers, 1 or more")
        if finetune_from is not None:
            weights_to_start_from(finetune_from)
        if not any(argument.startswith("--train#dataset") for argument in arguments):
            cases = find_cases(dataset_dir, "required", kind=kind, data_set=data_set, series_names=series_names)
            trained_on = cases_of_split(cases, split, train_part)
            cases_of_split(cases, split, val_part, apart_from=trained_on)


def run_training(trainer: Trainer) -> None:
    """Runs a training.

    Raises:
        SystemExit: with code 2 where it can't be resumed; with 130 or 143 where it is stopped from outside.
    """
    with errors_in_one_line(KEPT_EPOCHS):
        trainer.run()


def run_cases(evaluator: CaseEvaluator) -> None:
    """Runs the loop over the cases.

    Raises:
        SystemExit: with code 2 where the weights don't fit the network; with 1 where nothing more can be written; with
            130 or 143 where it is stopped from outside.
    """
    with errors_in_one_line(KEPT_CASES), full_disk_exits():
        evaluator.run()


def merge_run(output_dir: str | Path, dataset_dir: str | Path | None = None, keep_shards: bool = True) -> None:
    """Puts the reports of a run's shards together, finished or not, and says where the merged report is and what is
    missing.

    Args:
        output_dir: of the run.
        dataset_dir: what was segmented; see :class:`RunReport`.
        keep_shards: so that it can be done again when more has been done; else they are removed.

    Raises:
        UsageError: see :meth:`RunReport.of_shards`.
        SystemExit: with code 1 where cases failed or shards haven't ended.
    """
    from pranet_monai.reports import RunReport
    from pranet_monai.reports.shards import merged_run, unfinished_shards

    folder = RunFolder(output_dir)
    report = RunReport.of_shards(output_dir, dataset_dir)
    missing, run_info = unfinished_shards(output_dir), merged_run(folder.shards())
    if missing:
        print(
            f"incomplete: {len(missing)} of {missing[0].count} shards haven't ended, or did so with other weights or "
            f"before files came or went ({some_of(map(str, missing), 10)}); fix: wait, or run them again with "
            "--resume; then merge again",
            file=sys.stderr,
        )
    try:
        finish_run(report, run_info)
    finally:
        if not keep_shards:
            shutil.rmtree(folder.report / "shards")
    if missing:
        raise SystemExit(1)


def finish_run(report: RunReport, run_info: Mapping[str, Any]) -> None:
    """Writes the end of the report, and says where it is.

    Args:
        report: of the run.
        run_info: what ``run.json`` should keep of it.

    Raises:
        SystemExit: with code 1 where cases failed.
    """
    with full_disk_exits():
        done = report.finish(run_info)
    counts = ", ".join(f"{number} {status}" for status, number in done["cases"].items())
    shard = report.paths.shard
    where = f"report: {Path(done['report']) / 'index.html'}"
    print(f"{counts}; {where if shard is None else f'shard {shard}; pranet-monai merge {report.paths.root} joins all'}")
    if done["left_out"]:
        print(done["left_out"], file=sys.stderr)
    if names := ", ".join(done["unwritten"]):
        print(f"error: {done['report']}: {names} can't be written; the tables are whole", file=sys.stderr)
    if report.exit_code or done["unwritten"]:
        raise SystemExit(1)


def _check_options(folders: Mapping[str, Any], switches: Mapping[str, Any]) -> None:
    """Refuses what the command line lets through, although it means nothing or something else than was meant."""
    for name, value in folders.items():
        given_path(name, value)
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise UsageError(f"{name} {value!r}: allowed: True or False")


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise UsageError(
            f"output_dir {folder}: can't be written ({error.strerror}); fix: choose a folder that you may write to"
        ) from error
