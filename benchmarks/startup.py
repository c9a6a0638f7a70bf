# SPDX-License-Identifier: Apache-2.0
"""How long a help text takes, beside a Python that does nothing and one that imports torch and MONAI.

    python benchmarks/startup.py

Each call is a process of its own; the median of the repeats counts, and the ratio is to the empty Python. Exit code 1
when a help text takes more than half a second.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from pranet_monai.commands import COMMANDS

LIMIT_SECONDS = 0.5
PYTHON = [sys.executable, "-c"]
OURS = [sys.executable, "-m", "pranet_monai"]


def median_seconds(command: Sequence[str], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="of each call (%(default)s)")
    args = parser.parse_args()
    baseline = median_seconds([*PYTHON, "pass"], args.repeats)
    calls = {"--help": [*OURS, "--help"], "--version": [*OURS, "--version"], "info bundles": [*OURS, "info", "bundles"]}
    calls |= {f"{name} --help": [*OURS, name, "--help"] for name in COMMANDS}
    print(f"{'an empty Python':<26} {baseline:.3f} s")
    print(f"{'import torch, monai':<26} {median_seconds([*PYTHON, 'import torch, monai'], 1):.3f} s")
    slow = []
    for title, command in calls.items():
        seconds = median_seconds(command, args.repeats)
        print(f"{title:<26} {seconds:.3f} s  {seconds / baseline:.1f} x")
        if seconds > LIMIT_SECONDS:
            slow.append(title)
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
