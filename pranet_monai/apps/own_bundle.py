# SPDX-License-Identifier: Apache-2.0
"""Bundles that state in ``bundle.yaml`` where their labelled cases lie: built before a training, finished after it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ConfigParser
from pranet_monai.apps.build_bundles import write_bundle
from pranet_monai.apps.bundle_weights import put_into_bundle
from pranet_monai.apps.calibrate import FILE as CALIBRATION
from pranet_monai.apps.calibrate import calibrate
from pranet_monai.apps.training import Parts, Training
from pranet_monai.apps.workflow import SETUP_LOGGERS
from pranet_monai.bundle_store import WEIGHTS, Bundle
from pranet_monai.bundle_store.bundle import SUMMARY
from pranet_monai.bundle_store.find import name_to_type
from pranet_monai.engines.weights import read_safely
from pranet_monai.errors import UsageError
from pranet_monai.quiet import quiet

__all__ = ["built", "data_of", "differing", "finish"]

TRAINED = WEIGHTS.with_name("model_trained.pt")
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
    """Makes the best weights of a training the bundle's own, judges and calibrates them on the
    validation part, and writes the card.

    The training's output gets ``validation/``, and the former weights as ``model_before.pt``.

    Args:
        training: that has ended well.
        parts: of the split; without validation part there are no scores.

    Returns:
        0, or 1 where a case couldn't be judged.
    """
    folder = training.bundle.folder
    target, scores = folder / WEIGHTS, folder / SUMMARY.parent
    state = read_safely(folder / TRAINED)
    if target.is_file():
        os.replace(target, training.output / FORMER)
    put_into_bundle(state, folder)
    (folder / TRAINED).unlink()
    shutil.rmtree(scores, ignore_errors=True)  # of former weights, as is
    (folder / CALIBRATION).unlink(missing_ok=True)
    code = 0
    if parts.val_part:
        code = training.judge(target, parts.split, parts.val_part, {})
        scores.mkdir(parents=True)
        for name in ("summary.json", "metrics.csv"):
            shutil.copyfile(training.output / "validation" / "report" / name, scores / name)
        _calibrate(training, parts)
    write_bundle(folder)
    print(f"{target}: the weights; {folder / 'docs' / 'README.md'}: their scores")
    print(f"pranet-monai segment INPUT OUTPUT --bundle {name_to_type(training.bundle)}")
    return code


def _calibrate(training: Training, parts: Parts) -> None:
    """What Dice to expect where there is no reference; a bundle without it is whole, too."""
    given = [parts.val_part] if isinstance(parts.val_part, str) else list(parts.val_part)
    try:
        with quiet(*SETUP_LOGGERS):
            calibrate(
                training.bundle.folder, training.data, split=parts.split, parts=given,
                device=training.device.get("device"),
            )  # fmt: skip
    except UsageError as error:
        print(f"no calibration of expected Dice: {error}", file=sys.stderr)
