# SPDX-License-Identifier: Apache-2.0
"""Memory that a volume's inference takes above its input, beside MONAI's ``SliceInferer``.

    python benchmarks/memory.py

The volume is 512 x 512 x 1000 float32; the network a single convolution, so that what the inferers keep is all there
is; each run is a process of its own. MONAI's inferer keeps the logits of all classes, so it gets a tenth of the slices,
and its peak is scaled. Linux only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import monai
import torch
from monai.inferers import SliceInferer
from pranet_monai.inferers import SliceVolumeInferer
from pranet_monai.runtimes import RUNTIMES, Executor

SIDE = 512


def ours(slices: int, classes: int, runtime: str) -> float:
    infer = SliceVolumeInferer(axis=2, output="labels", in_channels=1, executor=Executor(runtime))
    return risen(slices, lambda volume: infer(volume, network(classes)))


def monais(slices: int, classes: int) -> float:
    infer = SliceInferer(roi_size=(SIDE, SIDE), spatial_dim=2, sw_batch_size=2)
    return risen(slices, lambda volume: infer(volume, network(classes)).argmax(1))


def network(classes: int) -> torch.nn.Module:
    return torch.nn.Conv2d(1, classes, 1).eval()


@torch.inference_mode()
def risen(slices: int, infer: object) -> float:
    """GiB by which the resident memory rises above what it is with the volume, at its peak."""
    volume = torch.rand(1, 1, SIDE, SIDE, slices)
    Path("/proc/self/clear_refs").write_text("5")  # forget the former peak
    before = resident_peak()
    infer(volume)  # type: ignore[operator]
    return resident_peak() - before


def resident_peak() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--runtime", default="torch", choices=RUNTIMES, help="of ours")
    arguments = parser.parse_args()
    slices, runtime = arguments.slices, arguments.runtime
    print(f"Python {platform.python_version()}, torch {torch.__version__}, monai {monai.__version__}; "
          f"input {SIDE * SIDE * slices * 4 / 2**30:.2f} GiB")  # fmt: skip
    few = slices // 10
    runs = {}
    for n in (2, 9, 40):
        runs[f"SliceVolumeInferer, {slices} slices, {n} classes"] = partial(ours, slices, n, runtime), 1
    runs[f"SliceInferer, {few} slices, 9 classes, times 10"] = partial(monais, few, 9), 10
    for name, (run, times) in runs.items():
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            print(f"{name}: {pool.submit(run).result() * times:.2f} GiB above the input")


if __name__ == "__main__":
    main()
