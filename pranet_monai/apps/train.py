# SPDX-License-Identifier: Apache-2.0
"""A bundle's training on labelled cases; what it leaves stands in docs/train.md."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pranet_monai.apps.cross_validation import cross_validate
from pranet_monai.apps.overrides import parsed
from pranet_monai.apps.own_bundle import built, data_of, differing, finish
from pranet_monai.apps.training import Training, parts_of
from pranet_monai.apps.workflow import as_path, device_of
from pranet_monai.bundle_store import find_bundle
from pranet_monai.errors import UsageError

__all__ = ["run", "train"]

# options of the command that are ids of train.json
_NUMBERS = ("epochs", "batch_size", "learning_rate", "seed")
_PARTS = ("train_part", "val_part")
_PATHS = ("split", "finetune_from", "ckpt_dir")


def train(
    bundle: str | Path,
    data: str | Path | None = None,
    output: str | Path | None = None,
    *,
    device: str | None = None,
    resume: bool = False,
    folds: int | None = None,
    tracking: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> int:
    """Runs the bundle's ``train.json``, with ``multi_gpu_train.json`` over it where torchrun has started several.

    A bundle whose ``bundle.yaml`` says where its labelled cases lie, as ``new-bundle`` makes it, is built anew from
    that file before, and gets the weights, their scores and its card afterwards.

    Args:
        bundle: name or folder, see :func:`~pranet_monai.bundle_store.find_bundle`.
        data: folder of images with the reference masks; default: the bundle's own.
        output: folder for the state, the last weights and the curve; default: ``runs`` in the bundle.
        device: see ``torch.device``; default: the GPU where there is one.
        resume: go on after an interruption.
        folds: cross-validate: train as many times, each time without one fold of the patients, and judge it on that.
        tracking: "mlflow", or a file with settings, as MONAI has it.
        overrides: further changes of the config, ``id#part`` → value.

    Returns:
        0, 1 where cases couldn't be judged, or 2 after wrong use, named on stderr.

    Raises:
        UsageError: there is no such bundle or device, no data, or an override isn't in the config.
    """
    found, overrides = find_bundle(bundle), dict(overrides or {})
    if found.place == "zip":
        raise UsageError(f"{bundle}: a training puts weights into the bundle; fix: pranet-monai install {bundle} first")
    own = data_of(found)
    if own is not None:
        found = built(found)
    if data is None and own is None:
        raise UsageError(
            f"train {bundle}: found no DATA, and the bundle doesn't say where its cases are; fix: pranet-monai train "
            f"{bundle} DATA OUTPUT"
        )
    training = Training(
        found, Path(data or own or ""), Path(output or found.folder / "runs"), resume, device_of(device)
    )
    if folds is not None:
        return cross_validate(training, folds, overrides)
    code = training.run(overrides, tracking)
    if code or own is None or "ckpt_dir" in overrides or os.environ.get("RANK", "0") != "0":
        return code
    if changed := differing(found, overrides):
        print(
            f"{found.folder}: keeps the weights as models/model_trained.pt, as {', '.join(changed)} was changed for "
            "this training alone; fix: state it in bundle.yaml",
            file=sys.stderr,
        )
        return code
    return finish(training, parts_of(found, overrides))


def run(args: argparse.Namespace) -> int:
    """Trains."""
    given = vars(args)
    options = {name: given[name] for name in (*_NUMBERS, *_PARTS) if given[name] is not None}
    options |= {name: as_path(given[name]) for name in _PATHS if given[name] is not None}
    return train(
        args.bundle, args.data, args.output, device=args.device, resume=args.resume, folds=args.folds,
        tracking=args.tracking, overrides=options | parsed(args.overrides),
    )  # fmt: skip
