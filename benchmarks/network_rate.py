# SPDX-License-Identifier: Apache-2.0
"""How near a network comes to the machine's own rate of multiplying matrices, in float32, in one run.

    python benchmarks/network_rate.py --runtimes torch onnx openvino

Each runtime is asked for fp32. The network's multiplications and additions are counted by PyTorch
(``torch.utils.flop_counter``); the machine's rate is that of a product of two matrices of 2048 x 2048. All take turns,
and the least time of each counts. A ratio of 1 would be a network that is nothing but large matrix products.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from pranet_monai.networks.nets import EMCADNet
from pranet_monai.runtimes import RUNTIMES, Executor
from torch.utils.flop_counter import FlopCounterMode

SIDE = 2048


@torch.inference_mode()
def take_turns(works: Sequence[Callable[[], object]], repeats: int) -> np.ndarray:
    """Least seconds of each, (works, 2): of wall time, and of this process's processor time."""
    times = np.full((len(works), 2), np.inf)
    for _ in range(repeats):
        for least, work in zip(times, works):
            started = np.array([time.perf_counter(), time.process_time()])
            work()
            np.minimum(least, np.array([time.perf_counter(), time.process_time()]) - started, out=least)
    return times


def gigaflop(work: Callable[[], object]) -> float:
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        work()
    return float(counted.get_total_flops()) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["pvt_v2_b2", "resnet18", "efficientnet_lite0"])
    parser.add_argument("--runtimes", nargs="+", default=["torch"], choices=RUNTIMES)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{platform.processor() or platform.machine()}, {arguments.threads} threads, load {os.getloadavg()[0]:.1f}; "
          f"Python {platform.python_version()}, torch {torch.__version__}")  # fmt: skip
    left, right = torch.rand(2, SIDE, SIDE).unbind()
    product = partial(torch.mm, left, right)
    for backbone in arguments.backbones:
        network = EMCADNet(in_channels=1, out_channels=9, backbone=backbone).eval()
        network = network.to(memory_format=torch.channels_last)
        image = torch.rand(arguments.batch, 1, arguments.size, arguments.size)
        count = gigaflop(partial(network, image))
        runs = [partial(Executor(name)(network, image.device), image) for name in arguments.runtimes]
        machine, *times = take_turns((product, *runs), arguments.repeats)
        print(f"EMCAD {backbone}: {count / arguments.batch:.2f} GFLOP a slice; torch.mm "
              f"{gigaflop(product) / machine[0]:.0f} GFLOP/s")  # fmt: skip
        for name, seconds in zip(arguments.runtimes, times):
            wall, processor = (gigaflop(product) / machine) / (count / seconds)
            print(f"  {name}: {1e3 * seconds[0] / arguments.batch:.1f} ms a slice, {count / seconds[0]:.0f} GFLOP/s; "
                  f"ratio {wall:.2f}, by processor time {processor:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
