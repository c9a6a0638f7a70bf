# SPDX-License-Identifier: Apache-2.0
"""How long it takes to find the cases in a folder of many DICOM files, beside reading the same headers by pydicom.

::

    python benchmarks/dicom_scan.py --files 10000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pydicom
from pranet_monai.data.cases import find_cases
from pranet_monai.forms import Search
from pranet_monai.forms.left_out import left_out_files
from pydicom.data import get_testdata_file

SLICES = 250
"""Of each series."""


def write(folder: Path, files: int) -> None:
    """Copies of a scanner's CT slice with its private elements, as series of evenly spaced slices."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for index in range(files):
        series, k = divmod(index, SLICES)
        dataset.SeriesInstanceUID, dataset.SeriesNumber = f"1.2.3.{series}", series
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{series}.{k}"
        dataset.ImagePositionPatient, dataset.InstanceNumber = [0, 0, 2.5 * k], k
        path = folder / f"{series:03d}" / f"IM{k:04d}"
        path.parent.mkdir(exist_ok=True)
        dataset.save_as(path)


def seconds(work: Callable[[], Any]) -> float:
    """Of processor time, so that a machine with other work gives the same answer."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Prints seconds, files per second and the ratio to pydicom."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    files = parser.parse_args().files
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, files)
        paths = [path for path in folder.rglob("*") if path.is_file()]
        baseline = seconds(lambda: [pydicom.dcmread(path, stop_before_pixels=True) for path in paths])
        measured = {
            "pydicom's headers, one after another": baseline,
            "find_cases, first time": seconds(lambda: find_cases(folder)),
            "find_cases, again in the same process": seconds(lambda: find_cases(folder)),
            "what was left out": seconds(lambda: left_out_files(Search(folder), "volume")),
        }
        assert len(find_cases(folder)) == -(-files // SLICES)
    for what, took in measured.items():
        print(f"{what:40} {took:7.2f} s  {files / took:8.0f} files/s  {took / baseline:5.2f} of pydicom's")


if __name__ == "__main__":
    main()
