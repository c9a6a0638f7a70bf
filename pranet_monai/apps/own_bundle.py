# SPDX-License-Identifier: Apache-2.0
"""Bundles that state in ``bundle.yaml`` where their labelled cases lie: built before a training, finished after it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ConfigParser
from pranet_monai.apps.build_bundles import write_bundle
from pranet_monai.apps.bundle_weights import new_weights
from pranet_monai.apps.calibrate import calibrate
from pranet_monai.apps.training import Parts, Training
from pranet_monai.apps.workflow import SETUP_LOGGERS
from pranet_monai.bundle_store import SCORES, WEIGHTS, Bundle
from pranet_monai.bundle_store.find import name_to_type
from pranet_monai.bundle_store.served import TRAINED
from pranet_monai.errors import UsageError
from pranet_monai.quiet import quiet
from pranet_monai.storage.atomic import atomic_write
from pranet_monai.storage.hashing import file_sha256

__all__ = ["built", "data_of", "differing", "finish"]

FORMER = "model_before.pt"
_HARMLESS = ("network_def#pretrained",)  # weights to begin with


def data_of(bundle: Bundle) -> Path | None:
    """Where a bundle's own labelled cases lie, by the ``data`` of its ``bundle.yaml``; None where it says nothing.

    Raises:
        UsageError: the file can't be read.
    """
    source = bundle.folder / "bundle.yaml"
    if not source.is_file():
        return None
    try:
        stated = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{source}: found text that is not valid YAML ({error}); fix: undo the last change") from error
    data = stated.get("data") if isinstance(stated, dict) else None
    return Path(data).expanduser() if isinstance(data, str) else None


def built(bundle: Bundle) -> Bundle:
    """The bundle with configs as its ``bundle.yaml`` says now."""
    write_bundle(bundle.folder)
    return Bundle(bundle.folder, bundle.place)


def differing(bundle: Bundle, overrides: Mapping[str, Any]) -> list[str]:
    """Ids that were changed for a training, and that inference has as well: it would run another network."""
    known = ConfigParser.load_config_file(str(bundle.config("inference")))
    return [id for id in overrides if id.split("#")[0] in known and id not in _HARMLESS]


def finish(training: Training, parts: Parts) -> int:
    """Judges the best weights of a training on the validation part, makes them the bundle's own with their scores and
    calibration, and writes the card.

    The training's output gets ``validation/``, and the former weights as ``model_before.pt``. The bundle stays as it is
    until the judging has ended. What is interrupted is finished by the next training with ``resume``.

    Args:
        training: that has ended well.
        parts: of the split; without validation part there are no scores.

    Returns:
        0, or 1 where a case couldn't be judged.

    Raises:
        SystemExit: see :meth:`Training.judge`.
        UsageError: likewise; or all this has been done already.
    """
    folder = training.bundle.folder
    target, trained, code = folder / WEIGHTS, folder / TRAINED, 0
    if not trained.is_file():
        raise UsageError(
            f"{trained}: found no weights of a training that would have to be put into the bundle; fix: leave out "
            "--resume to train again"
        )
    if parts.val_part:
        report, code = training.judge(trained, parts.split, parts.val_part, {})
    if target.is_file() and file_sha256(target) != file_sha256(trained):
        _copy(target, training.output / FORMER)
    with new_weights(folder) as partial:
        shutil.copyfile(trained, partial)
    if parts.val_part:
        for scores in SCORES:
            _copy(report / scores.name, folder / scores)
        _calibrate(training, parts)
    write_bundle(folder)
    trained.unlink()
    print(f"{target}: the weights; {folder / 'docs' / 'README.md'}: their scores")
    print(f"pranet-monai segment INPUT OUTPUT --bundle {name_to_type(training.bundle)}")
    return code


def _copy(source: Path, target: Path) -> None:
    """To another file system, too, where a file can't be moved."""
    with atomic_write(target) as partial:
        shutil.copyfile(source, partial)


def _calibrate(training: Training, parts: Parts) -> None:
    """What Dice to expect where there is no reference; a bundle without it is whole, too."""
    try:
        with quiet(*SETUP_LOGGERS):
            calibrate(
                training.bundle.folder, training.data, split=parts.split, parts=parts.val_part,
                device=training.device.get("device"),
            )  # fmt: skip
    except UsageError as error:
        print(f"no calibration of expected Dice: {error}", file=sys.stderr)
