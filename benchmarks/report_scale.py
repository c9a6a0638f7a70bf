# SPDX-License-Identifier: Apache-2.0
"""What writing down a case costs as a report grows: the hundredth case beside the last of many, and the end.

python benchmarks/report_scale.py --cases 100000 --references
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
from pranet_monai.reports import CaseResult, MeasuredRow, RunReport

ORGANS = ("right_ventricle", "myocardium", "left_ventricle")
WINDOW = 1000  # cases whose median counts


def result(number: int, references: bool, random: np.random.Generator) -> CaseResult:
    organs = []
    for organ in ORGANS:
        row = {"organ": organ, "voxels": number, "volume_ml": 0.1, "touches_border": False}
        if references:
            dice = random.beta(20, 2)
            row |= {"status": "ok", "dice": dice, "iou": dice / (2 - dice), "hd95_mm": 9 - 8 * dice, "assd_mm": 1.0}
            row |= {"nsd": dice, "reference_volume_ml": 0.1, "reference_voxels": number}
        organs.append(row)
    name = f"site/case{number:06d}"
    return CaseResult(name, "ok", seconds=1.0, rows=[MeasuredRow(name, organs, references)])


def seconds_to_add(report: RunReport, case: CaseResult) -> float:
    started = time.perf_counter()
    report.add(case)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--references", action="store_true", help="with metrics, as where references are")
    args = parser.parse_args()
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        report = RunReport(folder, "acdc", previews=False)
        marks = [seconds_to_add(report, result(number, args.references, random)) for number in range(args.cases)]
        # as --resume with other weights does
        again = [seconds_to_add(report, result(number, args.references, random)) for number in range(WINDOW)]
        # medians, as other programs may interrupt some of them
        parts = (marks[100 : 100 + WINDOW], marks[-WINDOW:], again)
        first, last, again_last = (float(np.median(part)) for part in parts)
        started, cpu_started = time.perf_counter(), time.process_time()
        report.finish()
        finish, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        sizes = {path.name: path.stat().st_size / 2**20 for path in (Path(folder) / "report").iterdir()}
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {args.cases} cases")
    print(f"cases from 100 on: {first * 1e3:.3f} ms; last cases: {last * 1e3:.3f} ms; ratio {last / first:.2f}")
    print(f"cases done again, beside as many: {again_last * 1e3:.3f} ms; ratio {again_last / first:.2f}")
    print(f"finish: {finish:.1f} s, of the processor {cpu:.1f} s")
    print(", ".join(f"{name} {size:.2f} MiB" for name, size in sorted(sizes.items())))


if __name__ == "__main__":
    main()
