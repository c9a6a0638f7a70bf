# SPDX-License-Identifier: Apache-2.0
"""A folder of cardiac MR phantoms to try everything on: no patient's data, and the true labels beside."""

from __future__ import annotations

import argparse
from pathlib import Path

from pranet_monai.data.phantom import write_phantom
from pranet_monai.errors import UsageError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``phantom``."""
    parser.add_argument("folder", type=Path, help="gets imagesTr/ and labelsTr/")
    parser.add_argument("--patients", type=int, default=2, metavar="N", help="each with two volumes (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other numbers are other patients (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Writes the phantoms."""
    if args.patients < 1:
        raise UsageError(f"--patients {args.patients}: allowed are 1 and more")
    try:
        images = write_phantom(args.folder, args.patients, args.seed)
    except OSError as error:
        raise UsageError(f"{args.folder}: can't write there ({error}); choose another folder") from error
    print(f"{len(images)} volumes of {args.patients} patients in {args.folder / 'imagesTr'}, their labels in labelsTr")
    return 0
