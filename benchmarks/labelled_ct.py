# SPDX-License-Identifier: Apache-2.0
"""Inference and evaluation of one labelled abdominal CT against the script of the TransUNet-style papers, in one run.

    python benchmarks/labelled_ct.py --image case0005.nii.gz --label case0005_label.nii.gz --runtime auto

The papers' script (``test_synapse.py``): slice by slice spline zoom, network with batch 1, zoom back; then medpy's
Dice, HD95, Jaccard index and ASSD of each organ, in voxels. Ours: ``SliceVolumeInferer`` and ``case_metrics``, which
gives the same four, NSD, volumes and counts. Both run the same EMCAD, from the array in memory to the numbers, the
script by PyTorch in float32. Its weights are random, and masks of noise would flatter nobody: what is judged is the
reference, three voxels off. The least of the repeats counts, of wall time and of processor time, for inference and
evaluation apart. ``--enlarge 2`` repeats each pixel: copies of 257 x 257 become 514 x 514, about as CTs are.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from inference import load_volume, papers_loop, seeded_network, slice_volume_inferer
from medpy.metric import binary
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.metrics import case_metrics
from pranet_monai.runtimes import AUTO, PRECISIONS, RUNTIMES, Executor


def papers(reference: np.ndarray, label_map: LabelMap) -> list[Any]:
    prediction = shifted(reference)
    numbers = []
    for index in label_map.foreground:
        masks = prediction == index, reference == index
        if all(mask.any() for mask in masks):
            numbers.append([measure(*masks) for measure in (binary.dc, binary.hd95, binary.jc, binary.assd)])
    return numbers


def ours(reference: np.ndarray, label_map: LabelMap) -> list[Any]:
    rows = case_metrics(shifted(reference), reference, label_map.organs, (1, 1, 1), labels=list(label_map.labels))
    columns = ("dice", "hd95_mm", "iou", "assd_mm")
    return [[row[name] for name in columns] for row in rows if row["status"] == "ok"]


def enlarged(array: np.ndarray, times: int, axes: tuple[int, ...] = (0, 1)) -> np.ndarray:
    for axis in axes:
        array = array.repeat(times, axis)
    return np.ascontiguousarray(array)


def shifted(reference: np.ndarray) -> np.ndarray:
    return np.roll(reference, 3, axis=0)


def seconds_of(work: Callable[[], Any]) -> tuple[np.ndarray, Any]:
    started = np.array([time.perf_counter(), time.process_time()])
    found = work()
    return np.array([time.perf_counter(), time.process_time()]) - started, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, required=True, help="CT in Hounsfield units, NIfTI")
    parser.add_argument("--label", type=Path, required=True, help="its organs, in the data set's own numbers")
    parser.add_argument("--backbone", default="pvt_v2_b2")
    parser.add_argument("--runtime", default="auto", choices=[*RUNTIMES, AUTO], help="of ours")
    parser.add_argument("--precision", default="fp32", choices=PRECISIONS, help="of ours")
    parser.add_argument("--enlarge", type=int, default=1, help="times, each pixel of a slice")
    parser.add_argument("--slices", type=int, help="only so many, from the middle")
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    label_map = get_label_map("synapse8")
    stored = nibabel.as_closest_canonical(nibabel.load(arguments.label))
    reference = label_map.from_raw(np.asarray(stored.dataobj), str(arguments.label))
    volume = load_volume(arguments.image, arguments.slices)
    first = (reference.shape[2] - volume.shape[2]) // 2
    reference = enlarged(reference[:, :, first : first + volume.shape[2]], arguments.enlarge)
    volume = enlarged(volume.transpose(2, 0, 1), arguments.enlarge, (1, 2)).transpose(1, 2, 0)  # as it was stored
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
          f"load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, torch {torch.__version__}, "
          f"numpy {np.__version__}, scipy {version('scipy')}, medpy {version('medpy')}")  # fmt: skip
    network, executor = seeded_network(arguments.backbone), Executor(arguments.runtime, arguments.precision)
    fast = partial(slice_volume_inferer, network=seeded_network(arguments.backbone), device="cpu", batch=2)
    fast(volume[:, :, :2], executor=executor)  # exports, where it must
    how = f"ours by {executor.used} in {arguments.precision}"
    print(f"{arguments.image.name}, {volume.shape}; EMCAD {arguments.backbone}, {how}")
    programs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "papers' script": (partial(papers_loop, volume, network, "cpu", 1), partial(papers, reference, label_map)),
        "ours": (partial(fast, volume, executor=executor), partial(ours, reference, label_map)),
    }
    times: dict[str, np.ndarray] = {}
    numbers: dict[str, list[Any]] = {}
    for name, works in programs.items():
        measured = [[seconds_of(work) for work in works] for _ in range(arguments.repeats)]
        times[name] = np.min([[seconds for seconds, _ in both] for both in measured], axis=0)
        numbers[name] = measured[0][1][1]
        (infer, infer_cpu), (evaluate, evaluate_cpu) = times[name]
        print(f"{name}: inference {infer:.1f} s, {infer_cpu:.1f} s of processors; evaluation {evaluate:.1f} s, "
              f"{evaluate_cpu:.1f} s of processors; {len(numbers[name])} organs")  # fmt: skip
    ratios = [*(times["papers' script"] / times["ours"]), times["papers' script"].sum(0) / times["ours"].sum(0)]
    for what, (wall, processor) in zip(("inference", "evaluation", "together"), ratios):
        print(f"{what}: {wall:.1f} times as fast; processor time {processor:.1f} times less")
    if len({len(found) for found in numbers.values()}) == 1:
        print(f"largest difference of any number: {np.abs(np.subtract(*numbers.values())).max():.2g}")


if __name__ == "__main__":
    main()
