# SPDX-License-Identifier: Apache-2.0
"""A bundle as a step of a service: loaded once, it takes DICOM files in a zip and gives DICOM segmentations.

As a command::

    python examples/dicom_service.py study.zip results --bundle synapse_lite
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pranet_monai import Segmenter
from pranet_monai.data.cases import find_cases
from pranet_monai.errors import BadCaseError


def segment_archive(segmenter: Segmenter, archive: bytes) -> tuple[dict[str, bytes], dict[str, str]]:
    """Segments every image series of a zip.

    Args:
        segmenter: made once, for all calls; not for two threads at a time.
        archive: the zip's bytes, as they came over the wire.

    Returns:
        Name of the series → bytes of its DICOM segmentation, and name → reason for those that can't be segmented. A
        cine has a segmentation per frame, ``…_frame01``.
    """
    segmentations, failures = {}, {}
    with TemporaryDirectory() as folder:
        path = Path(folder, "study.zip")
        path.write_bytes(archive)
        for item in find_cases(path):
            try:
                if "error" in item:
                    raise BadCaseError(item["error"])
                first = segmenter(item).save(Path(folder, item["case"], "series.dcm"))
            except BadCaseError as error:
                failures[item["case"]] = str(error).replace(f"{folder}/", "")
                continue
            for file in sorted(first.parent.glob("series*.dcm")):
                if not file.stem.endswith("_report"):
                    segmentations[item["case"] + file.stem.removeprefix("series")] = file.read_bytes()
    return segmentations, failures


def main() -> int:
    """One archive; a service calls :func:`segment_archive` for each request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--bundle", required=True, help="a name of pranet-monai info bundles, a folder or a packed zip")
    args = parser.parse_args()
    segmentations, failures = segment_archive(Segmenter(args.bundle), args.archive.read_bytes())
    for name, content in segmentations.items():
        path = args.output / f"{name}_seg.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(path)
    for name, reason in failures.items():
        print(f"failed: {name}: {reason}", file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
