# SPDX-License-Identifier: Apache-2.0
"""What the configs of the bundles call around a run: wrong use ends at once with exit code 2, failed cases with 1.

``monai.bundle run`` turns exceptions into tracebacks of its own, but lets SystemExit through.
"""

from __future__ import annotations

import difflib
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai.bundle import ConfigParser

from pranet_monai.data.cases import Kind, find_cases
from pranet_monai.data.splits import cases_of_split
from pranet_monai.engines.weights import find_weights, weights_to_start_from
from pranet_monai.errors import UsageError

if TYPE_CHECKING:
    from monai.engines import Trainer

    from pranet_monai.engines.case_evaluator import CaseEvaluator
    from pranet_monai.reports import RunReport

__all__ = ["check_overrides", "check_run", "check_training", "finish_run", "run_cases", "run_training"]

# arguments of monai.bundle run itself; every other --name is meant for the config
_RUN_ARGUMENTS = {
    *("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "args_file"),
    *("tracking", "tracking_uri", "experiment_name", "run_name", "save_execute_config"),
}


def check_run(
    dataset_dir: str | Path,
    output_dir: str | Path,
    weights: str | Path,
    official_checkpoint: str | None = None,
    kind: Kind = "volume",
) -> None:
    """Ends the run before anything is loaded where the folder, the output or the weights can't be right.

    Args:
        dataset_dir: must hold at least one image.
        output_dir: must be, or become, a folder that can be written to.
        weights: must be a file.
        official_checkpoint: the authors' file that they can be made of, if there is one.
        kind: of the images, as in ``find_cases``.

    Raises:
        SystemExit: with code 2, after one line on stderr that says what to do.
    """
    with _wrong_use_exits():
        check_overrides(sys.argv[1:])
        find_cases(dataset_dir, output_dir=output_dir, kind=kind)
        find_weights(weights, official_checkpoint)
        _check_writable(Path(output_dir).expanduser())


def check_training(
    dataset_dir: str | Path,
    split: str,
    train_part: str | Sequence[str],
    val_part: str | Sequence[str],
    finetune_from: str | Path | None = None,
    kind: Kind = "volume",
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
        kind: of the images, as in ``find_cases``.

    Raises:
        SystemExit: with code 2, after one line on stderr that says what to do.
    """
    arguments = sys.argv[1:]
    if not arguments or arguments[0] != "run":
        return
    with _wrong_use_exits():
        check_overrides(arguments)
        if finetune_from is not None:
            weights_to_start_from(finetune_from)
        if not any(argument.startswith("--train#dataset") for argument in arguments):
            cases = find_cases(dataset_dir, labels="required", kind=kind)
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
        SystemExit: with code 2 where the weights don't fit the network.
    """
    with _wrong_use_exits():
        evaluator.run()


def finish_run(report: RunReport, run_info: Mapping[str, Any], parts: Iterable[str | Path] = ()) -> None:
    """Writes the end of the report, and says where it is.

    Args:
        report: of the run.
        run_info: what ``run.json`` should keep of it.
        parts: output folders of further processes of the run, made for their reports alone; they are removed.

    Raises:
        SystemExit: with code 1 where cases failed.
    """
    for part in parts:
        report.absorb(Path(part) / "report")
        Path(part).rmdir()
    done = report.finish(run_info)
    counts = ", ".join(f"{number} {status}" for status, number in done["cases"].items())
    print(f"{counts}; report: {Path(done['report']) / 'index.html'}")
    if report.exit_code:
        raise SystemExit(report.exit_code)


def check_overrides(arguments: Sequence[str]) -> None:
    """Refuses ``--name value`` for a name that the config doesn't have; MONAI would ignore it without a word.

    Args:
        arguments: of ``monai.bundle run``; any other command is left alone.

    Raises:
        UsageError: naming the option and the ids that come close.
    """
    if not arguments or arguments[0] != "run":
        return
    given = {part[2:].partition("=")[0]: index for index, part in enumerate(arguments) if part.startswith("--")}
    if "config_file" not in given:
        return
    known = _ids(arguments, given["config_file"]) | _RUN_ARGUMENTS
    for option in given:
        name = option.replace("-", "_").replace("::", "#").split("#")[0]
        if name not in known:
            close = difflib.get_close_matches(name.split(".")[0], known, n=2) or sorted(known - _RUN_ARGUMENTS)
            raise UsageError(
                f"--{option}: found no id {name!r} in the config; did you mean --{', --'.join(close)}? "
                "(parts of an id are written id#part)"
            )


def _ids(arguments: Sequence[str], position: int) -> set[str]:
    """Top-level ids of all config files of the command line."""
    _, equals, value = arguments[position].partition("=")
    files = value if equals else arguments[position + 1]
    names = [name.strip(" '\"") for name in files.strip("[]()").split(",")]
    keys = (ConfigParser.load_config_file(name) for name in names)
    return {key.lstrip("+").replace("::", "#").split("#")[0] for config in keys for key in config}


@contextmanager
def _wrong_use_exits() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error


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
