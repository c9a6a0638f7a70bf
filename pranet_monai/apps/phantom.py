# SPDX-License-Identifier: Apache-2.0
"""A folder of cardiac MR phantoms to try everything on: no patient's data, and the true labels beside."""

from __future__ import annotations

import argparse

from pranet_monai.data.phantom import write_phantom
from pranet_monai.errors import UsageError

__all__ = ["run"]


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
