# SPDX-License-Identifier: Apache-2.0
"""What writing down a case costs as a report grows: the hundredth case beside the last of many, and the end.

python benchmarks/report_scale.py --cases 100000
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from pathlib import Path

from pranet_monai.reports import CaseResult, MeasuredRow, RunReport

ORGANS = ("right_ventricle", "myocardium", "left_ventricle")


def result(number: int) -> CaseResult:
    organs = [{"organ": organ, "voxels": number, "volume_ml": 0.1, "touches_border": False} for organ in ORGANS]
    return CaseResult(f"site/case{number:06d}", "ok", seconds=1.0, rows=[MeasuredRow(f"site/case{number:06d}", organs)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    cases = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as folder:
        report = RunReport(folder, "acdc", previews=False)
        marks = {}
        for number in range(cases):
            started = time.perf_counter()
            report.add(result(number))
            marks[number] = time.perf_counter() - started
        first = sum(marks[number] for number in range(100, 200)) / 100
        last = sum(marks[number] for number in range(cases - 100, cases)) / 100
        started = time.perf_counter()
        report.finish()
        finish = time.perf_counter() - started
        page = (Path(folder) / "report" / "index.html").stat().st_size / 2**20
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {cases} cases")
    print(f"case 100: {first * 1e3:.3f} ms; last case: {last * 1e3:.3f} ms; ratio {last / first:.2f}")
    print(f"finish: {finish:.1f} s; page {page:.1f} MiB")


if __name__ == "__main__":
    main()
