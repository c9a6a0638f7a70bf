# SPDX-License-Identifier: Apache-2.0
"""Whole-volume inference: SliceVolumeInferer against the plain loop of the TransUNet-style papers, in one run.

The loop is what EMCAD, MERIT and MIST evaluate with: one slice at a time, ``scipy.ndimage.zoom`` of order 3 down to
224 × 224, the network with batch 1, softmax, argmax, zoom of order 0 back. Both run the same network with the same
weights, the loop by PyTorch in float32, the inferer by any runtimes and precisions, one after the other.

    python benchmarks/inference.py --image CT.nii.gz --ours torch onnx openvino:bf16 [--time-only]

Time: the methods take turns on blocks of slices, so that other work on the machine meets both; the ratios are those
of the medians, of wall time and of processor time (all threads; the steadier one on a busy machine, where
OMP_WAIT_POLICY=passive keeps waiting threads from counting). Memory: one more run of each over the whole volume in a
process of its own, and how far its resident memory rises meanwhile (from /proc, so on Linux only).
Exit code 1 when in fp32 more than 1 voxel in 10⁵ has another label. The weights are random, so that many pixels are
near a tie: what bf16 changes here says nothing of trained networks.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import monai
import nibabel
import numpy as np
import scipy
import torch
from monai.data import MetaTensor
from pranet_monai.inferers import SliceVolumeInferer, ToSize
from pranet_monai.networks.nets import EMCADNet
from pranet_monai.runtimes import AUTO, RUNTIMES, Executor
from scipy.ndimage import zoom
from torch import nn
from tqdm import tqdm

SIZE = 224
CLASSES = 9
WINDOW_HU = (-125.0, 275.0)  # the papers' abdominal CT window, scaled to 0..1
ALLOWED_DIFFERENCE = 1e-5  # of voxels: two logits may tie

Method = Callable[[np.ndarray], np.ndarray]  # slices (H, W, D) → labels (H, W, D)


@torch.no_grad()
def papers_loop(volume: np.ndarray, network: nn.Module, device: str, batch: int) -> np.ndarray:
    slices = volume.transpose(2, 0, 1)
    labels = np.zeros(slices.shape, np.uint8)
    for number, plane in enumerate(slices):
        height, width = plane.shape
        small = zoom(plane, (SIZE / height, SIZE / width), order=3)
        logits = network(torch.from_numpy(small)[None, None].to(device))
        small_labels = torch.argmax(torch.softmax(logits, dim=1), dim=1)[0].cpu().numpy()
        labels[number] = zoom(small_labels, (height / SIZE, width / SIZE), order=0)
    return labels.transpose(1, 2, 0)


def slice_volume_inferer(
    volume: np.ndarray, network: nn.Module, device: str, batch: int, executor: Executor | None = None
) -> np.ndarray:
    infer = SliceVolumeInferer(
        resampling=ToSize((SIZE, SIZE), "cubic"),
        sw_batch_size=batch,
        channels_last=True,
        sw_device=device,
        executor=executor,
    )
    return infer(MetaTensor(torch.from_numpy(volume)[None, None]), network)[0, 0].numpy()


LOOP = "papers' loop"


def seeded_network(backbone: str) -> nn.Module:
    """EMCAD + DSRA with weights that keep signals alive through all layers, so that labels vary from place to place."""
    network = EMCADNet(in_channels=1, out_channels=CLASSES, backbone=backbone).eval()
    random = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=random)
        if value.ndim >= 2:
            value.copy_(noise / value[0].numel() ** 0.5)
        elif name.endswith(("weight", "running_var")):
            value.copy_(0.5 + torch.rand(value.shape, generator=random))
        else:
            value.copy_(0.1 * noise)
    return network


def load_volume(path: Path, slices: int | None) -> np.ndarray:
    """Windowed CT ``(H, W, D)`` float32 in RAS, each slice in one piece of memory; of many slices the middle ones."""
    values = np.asarray(nibabel.as_closest_canonical(nibabel.load(path)).dataobj, dtype=np.float32)
    if slices:
        first = max(0, (values.shape[2] - slices) // 2)
        values = values[:, :, first : first + slices]
    low, high = WINDOW_HU
    scaled = (values.clip(low, high) - low) / (high - low)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)).transpose(1, 2, 0)  # as the papers' files store it


def prepare(name: str, arguments: argparse.Namespace) -> Method:
    """A method with a network of its own (one of them changes the layout of the weights)."""
    torch.set_num_threads(arguments.threads)
    network = seeded_network(arguments.backbone).to(arguments.device)
    same = {"network": network, "device": arguments.device, "batch": arguments.batch}
    if name == LOOP:
        return partial(papers_loop, **same)
    runtime, _, precision = name.partition(":")
    return partial(slice_volume_inferer, executor=Executor(runtime, precision or "fp32"), **same)  # type: ignore[arg-type]


def take_turns(arguments: argparse.Namespace) -> tuple[dict[str, list[np.ndarray]], dict[str, np.ndarray]]:
    """Milliseconds per slice (wall, processor) of each block by each method, and the labels of the last turn."""
    volume = load_volume(arguments.image, arguments.slices)
    methods = {name: prepare(name, arguments) for name in (LOOP, *arguments.ours)}
    times: dict[str, list[np.ndarray]] = {name: [] for name in methods}
    labels = {name: np.zeros(volume.shape, np.uint8) for name in methods}
    starts = [*range(0, volume.shape[2], arguments.block)] * arguments.repeats
    for method in methods.values():
        method(volume[:, :, : arguments.batch])  # warm-up
    for turn, start in enumerate(tqdm(starts, desc="blocks", leave=False)):
        block = slice(start, start + arguments.block)
        for name in [*methods][:: 1 if turn % 2 else -1]:
            begin = clocks()
            labels[name][:, :, block] = methods[name](volume[:, :, block])
            times[name].append((clocks() - begin) / volume[:, :, block].shape[2])
    return times, labels


def clocks() -> np.ndarray:
    return 1000 * np.array([time.perf_counter(), time.process_time()])


def peak_memory(name: str, arguments: argparse.Namespace) -> tuple[float, float]:
    """MiB of this process's resident memory just before inference (libraries, network, volume) and at its peak."""
    volume = load_volume(arguments.image, arguments.slices)
    method = prepare(name, arguments)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    before = resident_peak()
    method(volume)
    return before, resident_peak()


def resident_peak() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10


def in_new_process(name: str, arguments: argparse.Namespace) -> tuple[float, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak_memory, name, arguments).result()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--image", type=Path, required=True, help="CT volume in Hounsfield units, NIfTI")
    parser.add_argument("--slices", type=int, help="only so many, from the middle")
    parser.add_argument("--backbone", default="pvt_v2_b2")
    parser.add_argument("--batch", type=int, default=2, help="slices per call: 2 suits a CPU's caches, 16 a GPU")
    parser.add_argument("--block", type=int, default=8, help="slices per turn")
    parser.add_argument("--repeats", type=int, default=1, help="times through the volume")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    ours = [*RUNTIMES, AUTO, *(f"{name}:bf16" for name in (*RUNTIMES, AUTO))]
    parser.add_argument("--ours", nargs="+", default=["torch"], choices=ours, metavar="RUNTIME[:bf16]")
    parser.add_argument("--time-only", action="store_true", help="leave out the memory")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in (torch, monai, scipy, np))
    device = torch.cuda.get_device_name() if arguments.device.startswith("cuda") else platform.machine()
    print(f"{device}, {arguments.threads} threads, load {os.getloadavg()[0]:.1f}; "
          f"Python {platform.python_version()}, {versions}")  # fmt: skip
    print(f"{arguments.image.name}; EMCAD {arguments.backbone}, {CLASSES} classes, batch {arguments.batch}")
    times, labels = take_turns(arguments)
    print(f"{labels[LOOP].size} voxels in {labels[LOOP].shape[2]} slices, {len(np.unique(labels[LOOP]))} classes seen")
    medians = {name: np.median(measured, axis=0) for name, measured in times.items()}
    off = False
    for name, (wall, processor) in medians.items():
        print(f"{name}: {wall:.0f} ms per slice, {processor:.0f} ms of processors")
        if name != LOOP:
            faster, less = medians[LOOP] / medians[name]
            turns = sorted(slow[0] / fast[0] for slow, fast in zip(times[LOOP], times[name]))
            difference = float((labels[name] != labels[LOOP]).mean())
            print(f"  {faster:.2f} times as fast (turns: {turns[0]:.2f} to {turns[-1]:.2f}), {less:.2f} times less of "
                  f"processors; fraction of labels different {difference:.1e}")  # fmt: skip
            off |= difference > ALLOWED_DIFFERENCE and not name.endswith("bf16")
    if not arguments.time_only:
        for name in medians:
            before, peak = in_new_process(name, arguments)
            print(f"{name}: memory {peak:.0f} MiB at peak, {peak - before:.0f} of it by inference")
    return int(off)


if __name__ == "__main__":
    sys.exit(main())
