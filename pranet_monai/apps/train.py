# SPDX-License-Identifier: Apache-2.0
"""A bundle's training on labelled cases; what it leaves stands in README.md."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pranet_monai.apps.overrides import parsed
from pranet_monai.apps.workflow import as_path, device_of, is_one_of_several, run_workflow
from pranet_monai.bundle_store import find_bundle
from pranet_monai.errors import UsageError

__all__ = ["run", "train"]

# options of the command that are ids of train.json
_NUMBERS = ("epochs", "batch_size", "learning_rate", "seed")
_PARTS = ("train_part", "val_part")
_PATHS = ("split", "finetune_from", "ckpt_dir")


def train(
    bundle: str | Path,
    data: str | Path,
    output: str | Path,
    *,
    device: str | None = None,
    resume: bool = False,
    tracking: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> int:
    """Runs the bundle's ``train.json``, with ``multi_gpu_train.json`` over it where torchrun has started several.

    Args:
        bundle: name or folder, see :func:`~pranet_monai.bundle_store.find_bundle`.
        data: folder of images with the experts' masks.
        output: folder for the state, the last weights and the curve.
        device: see ``torch.device``; default: the GPU where there is one.
        resume: go on after an interruption.
        tracking: "mlflow", or a file with settings, as MONAI has it.
        overrides: further changes of the config, ``id#part`` → value.

    Returns:
        0, or 2 after wrong use, named on stderr.

    Raises:
        UsageError: there is no such bundle or device, or an override isn't in the config.
    """
    found = find_bundle(bundle)
    if found.place == "zip":
        raise UsageError(f"{bundle}: a training puts weights into the bundle; fix: pranet-monai install {bundle} first")
    options: dict[str, Any] = {"dataset_dir": as_path(data), "output_dir": as_path(output), **device_of(device)}
    options |= {"resume": True} if resume else {}
    configs = ["train", *(["multi_gpu_train"] if is_one_of_several() else [])]
    return run_workflow(found, configs, "training", options, overrides or {}, tracking)


def run(args: argparse.Namespace) -> int:
    """Trains."""
    given = vars(args)
    options = {name: given[name] for name in (*_NUMBERS, *_PARTS) if given[name] is not None}
    options |= {name: as_path(given[name]) for name in _PATHS if given[name] is not None}
    return train(
        args.bundle, args.data, args.output, device=args.device, resume=args.resume, tracking=args.tracking,
        overrides=options | parsed(args.overrides),
    )  # fmt: skip
