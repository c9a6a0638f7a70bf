# SPDX-License-Identifier: Apache-2.0
"""What ``train`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.options import add_device_and_set, path_argument

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "train a bundle's network on labelled volumes or images"
EXAMPLE = "pranet-monai train acdc /path/to/ACDC runs --epochs 20"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``train``."""
    with_bundle_names(parser.add_argument("bundle", metavar="BUNDLE", help="name or folder of the bundle"))
    parser.add_argument(
        "data", nargs="?", type=path_argument, metavar="DATA",
        help="folder of images with the reference masks (default: the one that new-bundle was given)",
    )  # fmt: skip
    parser.add_argument(
        "output", nargs="?", type=path_argument, metavar="OUTPUT",
        help="folder for the state, the last weights and the curve (default: runs/ of the bundle)",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="continue after an interruption, with the same result")
    parser.add_argument("--split", metavar="NAME", help="which patients train: a known split or a .json file")
    parser.add_argument("--train-part", nargs="+", metavar="PART", help="parts of the split to train on")
    parser.add_argument("--val-part", nargs="*", metavar="PART", help="parts to validate on; with none: no validation")
    parser.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="cross-validate: K trainings, each evaluated on the fold that was held out",
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training slices")
    parser.add_argument("--batch-size", type=int, metavar="N", help="slices per step and process")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="peak learning rate")
    parser.add_argument("--seed", type=int, metavar="N", help="random seed")
    parser.add_argument(
        "--finetune-from", type=path_argument, metavar="FILE", help="start from these weights; the classes may differ"
    )
    parser.add_argument(
        "--ckpt-dir",
        type=path_argument,
        metavar="DIR",
        help="folder for model_trained.pt (default: models/ of the bundle)",
    )
    parser.add_argument("--tracking", metavar="mlflow|FILE", help="keep a record of the run, as MONAI does")
    add_device_and_set(parser)
