# SPDX-License-Identifier: Apache-2.0
"""What the configs of the bundles call around a run: wrong use ends at once with exit code 2, failed cases with 1.

``monai.bundle run`` turns exceptions into tracebacks of its own, but lets SystemExit through.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pranet_monai.apps.overrides import check_argv
from pranet_monai.data.cases import find_cases
from pranet_monai.data.splits import cases_of_split
from pranet_monai.engines.weights import find_weights, weights_to_start_from
from pranet_monai.errors import UsageError
from pranet_monai.forms import KindName
from pranet_monai.forms.run_folder import RunFolder

if TYPE_CHECKING:
    from monai.engines import Trainer

    from pranet_monai.engines.case_evaluator import CaseEvaluator
    from pranet_monai.reports import RunReport

__all__ = ["check_run", "check_training", "finish_run", "own_command", "run_cases", "run_training"]

_OWN_COMMAND: ContextVar[bool] = ContextVar("own_command", default=False)


def check_run(
    dataset_dir: str | Path,
    output_dir: str | Path,
    weights: str | Path,
    official_checkpoint: str | None = None,
    kind: KindName = "volume",
) -> None:
    """Ends the run before anything is loaded where the folder, the output or the weights can't be right.

    Args:
        dataset_dir: must hold at least one image.
        output_dir: must be, or become, a folder that can be written to.
        weights: must be a file.
        official_checkpoint: the authors' file that they can be made of, if there is one.
        kind: of the cases, as in ``find_cases``.

    Raises:
        SystemExit: with code 2, after one line on stderr that says what to do.
    """
    with _wrong_use_exits():
        check_argv(sys.argv[1:])
        find_cases(dataset_dir, output_dir=output_dir, kind=kind)
        find_weights(weights, official_checkpoint)
        _check_writable(Path(output_dir).expanduser())
        if os.environ.get("RANK", "0") == "0":  # the first of torchrun's processes locks the folder for all
            RunFolder(output_dir).check_unlocked()


def check_training(
    dataset_dir: str | Path,
    split: str,
    train_part: str | Sequence[str],
    val_part: str | Sequence[str],
    finetune_from: str | Path | None = None,
    kind: KindName = "volume",
    data_set: str | None = None,
) -> None:
    """Ends a training of the command line before anything is loaded where its options, data or split can't be right.

    A training that somebody else's program builds (MONAI Label, a test) gets the errors as they are, when it comes to
    them; so does one whose volumes don't come from `dataset_dir`.

    Args:
        dataset_dir: must hold the cases of the split.
        split: see :func:`~pranet_monai.data.splits.cases_of_split`.
        train_part: of the split.
        val_part: of the split, apart from `train_part`.
        finetune_from: must be a file where it is given.
        kind: of the cases, as in ``find_cases``.
        data_set: whose layouts are understood, as in ``find_cases``.

    Raises:
        SystemExit: with code 2, after one line on stderr that says what to do.
    """
    arguments = sys.argv[1:]
    if arguments[:1] != ["run"] and not _OWN_COMMAND.get():
        return
    with _wrong_use_exits():
        check_argv(arguments)
        if finetune_from is not None:
            weights_to_start_from(finetune_from)
        if not any(argument.startswith("--train#dataset") for argument in arguments):
            cases = find_cases(dataset_dir, labels="required", kind=kind, data_set=data_set)
            trained_on = cases_of_split(cases, split, train_part)
            cases_of_split(cases, split, val_part, apart_from=trained_on)


def run_training(trainer: Trainer) -> None:
    """Runs a training.

    Raises:
        SystemExit: with code 2 where it can't be resumed.
    """
    with _wrong_use_exits():
        trainer.run()


def run_cases(evaluator: CaseEvaluator) -> None:
    """Runs the loop over the cases.

    Raises:
        SystemExit: with code 2 where the weights don't fit the network; with 1 where nothing more can be written.
    """
    with _wrong_use_exits(), _full_disk_exits():
        evaluator.run()


def finish_run(report: RunReport, run_info: Mapping[str, Any], parts: Iterable[str | Path] = ()) -> None:
    """Writes the end of the report, and says where it is.

    Args:
        report: of the run.
        run_info: what ``run.json`` should keep of it.
        parts: folders of the reports of further processes of the run; they are removed.

    Raises:
        SystemExit: with code 1 where cases failed.
    """
    for part in parts:
        report.absorb(Path(part))
    done = report.finish(run_info)
    counts = ", ".join(f"{number} {status}" for status, number in done["cases"].items())
    print(f"{counts}; report: {Path(done['report']) / 'index.html'}")
    for name in done["unwritten"]:
        print(f"error: {done['report']}: found that {name} can't be written; the tables are whole", file=sys.stderr)
    if report.exit_code or done["unwritten"]:
        raise SystemExit(1)


@contextmanager
def own_command() -> Iterator[None]:
    """Around a run of ``pranet-monai``: wrong use ends it, as it ends ``monai.bundle run``."""
    token = _OWN_COMMAND.set(True)
    try:
        yield
    finally:
        _OWN_COMMAND.reset(token)


@contextmanager
def _wrong_use_exits() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error


@contextmanager
def _full_disk_exits() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"error: {where}found that nothing more can be written ({error.strerror or error}); the finished cases are "
            "kept; fix: make room, then go on with resume",
            file=sys.stderr,
        )
        raise SystemExit(1) from error


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise UsageError(
            f"output_dir {folder}: found that it can't be written ({error.strerror}); "
            "fix: choose a folder that you may write to"
        ) from error
