# SPDX-License-Identifier: Apache-2.0
"""Times all metrics of an abdominal case against medpy's HD95 and ASSD, on the same masks in the same run.

Prints the seconds of both, their ratio, the largest difference of the numbers, and machine and versions. medpy also
gets the box around both masks, as a careful user would give it. The case is made here: 8 organs on 512 x 512 x 150
voxels of 0.78 x 0.78 x 3 mm, and a prediction with wrong borders and, with ``--scattered``, a few voxels of each organ
far from it, which blow the box around the masks up to the whole volume.

    python benchmarks/metrics.py [--medpy-organs 2] [--scattered]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import TypeVar

import numpy as np
from medpy.metric import binary as medpy
from numpy.typing import NDArray
from pranet_monai.metrics import case_metrics
from pranet_monai.metrics.masks import common_box
from scipy import ndimage

T = TypeVar("T")

SHAPE, SPACING = (512, 512, 150), (0.78, 0.78, 3.0)
ORGANS = {  # centre and half axes in mm
    "liver": ((140, 180, 240), (85, 70, 80)),
    "spleen": ((310, 240, 260), (35, 30, 50)),
    "right kidney": ((130, 270, 160), (28, 30, 50)),
    "left kidney": ((280, 275, 170), (28, 30, 50)),
    "stomach": ((270, 140, 280), (60, 35, 50)),
    "pancreas": ((215, 190, 190), (50, 16, 18)),
    "gallbladder": ((160, 110, 180), (14, 14, 30)),
    "aorta": ((200, 260, 225), (12, 12, 200)),
}


def make_labels(wobble_mm: float, seed: int, scattered: int) -> NDArray[np.uint8]:
    """Ellipsoids (H, W, D) whose surface a smooth random field moves by about ``wobble_mm``."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(32, 32, 24)).astype(np.float32)
    field = ndimage.zoom(coarse, np.divide(SHAPE, coarse.shape), order=1)
    grid = [np.arange(n, dtype=np.float32) * s for n, s in zip(SHAPE, SPACING)]
    labels = np.zeros(SHAPE, np.uint8)
    for index, (centre, axes) in enumerate(ORGANS.values(), start=1):
        x, y, z = ((g - c) / a for g, c, a in zip(grid, centre, axes))
        radius = np.sqrt(x[:, None, None] ** 2 + y[:, None] ** 2 + z**2)
        labels[radius < 1 + field * wobble_mm / min(axes)] = index
        for position in rng.integers(0, SHAPE, size=(scattered, 3)):
            labels[tuple(position)] = index
    return labels


def seconds_of(function: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def medpy_distances(prediction: NDArray[np.bool_], reference: NDArray[np.bool_]) -> tuple[float, float]:
    return medpy.hd95(prediction, reference, SPACING), medpy.assd(prediction, reference, SPACING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--medpy-organs", type=int, default=2, help="organs that medpy measures too, a minute each")
    parser.add_argument("--scattered", action="store_true", help="a few predicted voxels far from each organ")
    arguments = parser.parse_args()
    organs = {name: (index,) for index, name in enumerate(ORGANS, start=1)}
    compared = {name: organs[name] for name in list(organs)[: arguments.medpy_organs]}
    reference = make_labels(2, seed=0, scattered=0)
    prediction = make_labels(4, seed=1, scattered=8 if arguments.scattered else 0)

    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "medpy")))
    seconds, _ = seconds_of(lambda: case_metrics(prediction, reference, organs, SPACING))
    print(f"case_metrics, all metrics of {len(organs)} organs: {seconds:.2f} s")

    ours, rows = seconds_of(lambda: case_metrics(prediction, reference, compared, SPACING, labels=range(9)))
    whole = boxed = difference = 0.0
    for row, (index,) in zip(rows, compared.values()):
        masks = prediction == index, reference == index
        seconds, distances = seconds_of(partial(medpy_distances, *masks))
        whole += seconds
        box = common_box(*masks)
        boxed += seconds_of(partial(medpy_distances, masks[0][box], masks[1][box]))[0]
        difference = max(difference, *np.abs(np.subtract(distances, (row["hd95_mm"], row["assd_mm"]))))
        print(f"  {row['organ']}: Dice {row['dice']:.3f}, HD95 {row['hd95_mm']:.3f}, ASSD {row['assd_mm']:.3f} mm")
    if compared:
        print(f"{len(compared)} of them: case_metrics {ours:.2f} s, largest difference {difference:.1e} mm")
        print(f"  medpy hd95 + assd {whole:.2f} s, ratio {whole / ours:.1f}")
        print(f"  medpy hd95 + assd on the box around both masks {boxed:.2f} s, ratio {boxed / ours:.1f}")


if __name__ == "__main__":
    main()
