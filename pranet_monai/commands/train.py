# SPDX-License-Identifier: Apache-2.0
"""What ``train`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import a_path, add_device_and_set

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "train a bundle's network on labelled volumes or images"
EXAMPLE = "pranet-monai train acdc /path/to/ACDC runs --epochs 20"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``train``."""
    with_bundle_names(parser.add_argument("bundle", metavar="BUNDLE", help="name or folder of the bundle"))
    parser.add_argument(
        "data", nargs="?", type=a_path, metavar="DATA",
        help="folder of images with the reference masks (default: the one that new-bundle was given)",
    )  # fmt: skip
    parser.add_argument(
        "output", nargs="?", type=a_path, metavar="OUTPUT",
        help="folder for the state, the last weights and the curve (default: runs/ of the bundle)",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on after an interruption, to the same result")
    parser.add_argument("--split", metavar="NAME", help="which patients train: a known split or a .json file")
    parser.add_argument("--train-part", nargs="+", metavar="PART", help="parts of the split to train on")
    parser.add_argument("--val-part", nargs="*", metavar="PART", help="parts to validate on; with none: no validation")
    parser.add_argument(
        "--folds", type=int, metavar="K", help="cross-validate: K trainings, each judged on the fold it wasn't shown"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training slices")
    parser.add_argument("--batch-size", type=int, metavar="N", help="slices in a step, of each process")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="its peak")
    parser.add_argument("--seed", type=int, metavar="N", help="other numbers are other trainings")
    parser.add_argument(
        "--finetune-from", type=a_path, metavar="FILE", help="begin with these weights; the classes may differ"
    )
    parser.add_argument(
        "--ckpt-dir", type=a_path, metavar="DIR", help="gets model_trained.pt (default: models/ of the bundle)"
    )
    parser.add_argument("--tracking", metavar="mlflow|FILE", help="keep a record of the run, as MONAI does")
    add_device_and_set(parser)
