# SPDX-License-Identifier: Apache-2.0
"""What ``segment`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.names import PRECISIONS, RUNTIMES
from pranet_monai.commands.options import add_device_and_set, path_argument, positive_count

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "segment a folder of volumes or images: masks, tables and a report page"
EXAMPLE = "pranet-monai segment volumes results --bundle acdc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``segment``."""
    parser.add_argument("input", type=path_argument, metavar="INPUT", help="folder with its sub-folders, or one file")
    parser.add_argument("output", type=path_argument, metavar="OUTPUT", help="folder that gets the masks and report/")
    with_bundle_names(
        parser.add_argument(
            "--bundle",
            help="what to segment with: a name of pranet-monai info bundles, a bundle's folder, or a packed zip",
        )
    )
    parser.add_argument("--resume", action="store_true", help="continue after an interruption: finished cases are kept")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--labels", type=path_argument, metavar="DIR|none",
        help="folder of the reference masks (default: beside the images, if there are any); none: don't look for them",
    )  # fmt: skip
    parser.add_argument("--evaluate", action="store_true", help="a case without a reference counts as failed")
    parser.add_argument("--tta", action="store_true", help="average over mirrored copies: slower, often better")
    parser.add_argument("--save-probabilities", action="store_true", help="also write <case>_probabilities, as floats")
    parser.add_argument(
        "--output-format", choices=("nifti", "dicom_seg", "both"),
        help="format of the masks; both (default): for DICOM input also DICOM segmentations and reports",
    )  # fmt: skip
    parser.add_argument(
        "--runtime", metavar="NAME|FILE",
        help=f"what runs the network: {', '.join(RUNTIMES)}, or a file written by pranet-monai export (default: torch; "
        "auto: the fastest that is installed)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="bf16 is faster, with nearly the same labels (default: fp32)"
    )
    parser.add_argument(
        "--quality-map", action="store_true", help="also write a map of the network's confidence in each voxel"
    )
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local",
        help="where cases are processed: on this machine (%(default)s), or by workers on a Ray cluster",
    )  # fmt: skip
    parser.add_argument(
        "--workers",
        type=positive_count,
        metavar="N",
        help="number of Ray workers (default: one per GPU, or per two CPUs)",
    )
    parser.add_argument(
        "--address", metavar="HOST:PORT|auto",
        help="address of a Ray cluster (default: start one on this machine for this run)",
    )  # fmt: skip
    parser.add_argument(
        "--shard", metavar="I/N|slurm",
        help="do every N-th case from the I-th on, beside other runs into OUTPUT; pranet-monai merge joins them",
    )  # fmt: skip
    add_device_and_set(parser)
