# SPDX-License-Identifier: Apache-2.0
"""What ``segment`` asks for."""

from __future__ import annotations

import argparse

from pranet_monai.commands.complete import with_bundle_names
from pranet_monai.commands.names import PRECISIONS, RUNTIMES
from pranet_monai.commands.options import a_count, a_path, add_device_and_set

__all__ = ["EXAMPLE", "SUMMARY", "add_arguments"]

SUMMARY = "segment a folder of volumes or images: masks, tables and a page to judge them by"
EXAMPLE = "pranet-monai segment volumes results --bundle acdc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``segment``."""
    parser.add_argument("input", type=a_path, metavar="INPUT", help="folder with its sub-folders, or one file")
    parser.add_argument("output", type=a_path, metavar="OUTPUT", help="folder that gets the masks and report/")
    with_bundle_names(
        parser.add_argument(
            "--bundle",
            help="what to segment with: a name of pranet-monai info bundles, a bundle's folder, or a packed zip",
        )
    )
    parser.add_argument("--resume", action="store_true", help="go on after an interruption: finished cases are kept")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--labels", type=a_path, metavar="DIR|none",
        help="where the reference masks are (default: beside the images, where they lie there); none: don't look",
    )  # fmt: skip
    parser.add_argument("--evaluate", action="store_true", help="a case without a reference counts as failed")
    parser.add_argument("--tta", action="store_true", help="average over mirrored copies: slower, often better")
    parser.add_argument("--save-probabilities", action="store_true", help="write <case>_probabilities too, as floats")
    parser.add_argument(
        "--output-format", choices=("nifti", "dicom_seg", "both"),
        help="of masks: both writes DICOM segmentations and reports, too, where the input is DICOM (default)",
    )  # fmt: skip
    parser.add_argument(
        "--runtime", metavar="NAME|FILE",
        help=f"what runs the network: {', '.join(RUNTIMES)}, or a file of pranet-monai export (default: torch; auto "
        "takes the fastest that is installed)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="bf16 is faster, its labels nearly the same (default: fp32)"
    )
    parser.add_argument("--quality-map", action="store_true", help="write how sure the network is of each voxel, too")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local",
        help="who does the cases: this process (%(default)s), or workers on a Ray cluster, each with its own network",
    )  # fmt: skip
    parser.add_argument("--workers", type=a_count, metavar="N", help="of Ray (default: one per GPU, or per two CPUs)")
    parser.add_argument(
        "--address", metavar="HOST:PORT|auto",
        help="of a Ray cluster (default: one on this machine that ends with the run)",
    )  # fmt: skip
    parser.add_argument(
        "--shard", metavar="I/N|slurm",
        help="do every N-th case from the I-th on, beside other runs into OUTPUT; pranet-monai merge joins them",
    )  # fmt: skip
    add_device_and_set(parser)
