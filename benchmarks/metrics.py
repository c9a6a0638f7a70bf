# SPDX-License-Identifier: Apache-2.0
"""Times all metrics of an abdominal case against medpy's HD95 and ASSD, on the same masks in the same run.

Prints the seconds of both, their ratio, the largest difference of the numbers, and machine and versions. The case is
made here: 8 organs on 512 x 512 x 150 voxels of 0.78 x 0.78 x 3 mm, and a prediction with wrong borders and, with
``--scattered``, a few voxels of each organ far from it, which blow the box around the masks up to the whole volume.

    python benchmarks/metrics.py [--medpy-organs 2] [--scattered]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from importlib.metadata import version

import numpy as np
from medpy.metric import binary as medpy
from numpy.typing import NDArray
from scipy import ndimage

from pranet_monai.metrics import case_metrics

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--medpy-organs", type=int, default=2, help="organs that medpy measures too, a minute each")
    parser.add_argument("--scattered", action="store_true", help="a few predicted voxels far from each organ")
    arguments = parser.parse_args()
    organs = {name: (index,) for index, name in enumerate(ORGANS, start=1)}
    reference = make_labels(2, seed=0, scattered=0)
    prediction = make_labels(4, seed=1, scattered=8 if arguments.scattered else 0)

    start = time.perf_counter()
    rows = {row["organ"]: row for row in case_metrics(prediction, reference, organs, SPACING)}
    ours = time.perf_counter() - start
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "medpy")))
    print(f"case_metrics, all metrics of {len(organs)} organs: {ours:.2f} s")

    compared = list(organs)[: arguments.medpy_organs]
    start = time.perf_counter()
    case_metrics(prediction, reference, {name: organs[name] for name in compared}, SPACING, labels=range(9))
    ours = time.perf_counter() - start
    theirs, difference = 0.0, 0.0
    for name in compared:
        masks = prediction == organs[name][0], reference == organs[name][0]
        start = time.perf_counter()
        distances = medpy.hd95(*masks, SPACING), medpy.assd(*masks, SPACING)
        theirs += time.perf_counter() - start
        row = rows[name]
        difference = max(difference, *np.abs(np.subtract(distances, (row["hd95_mm"], row["assd_mm"]))))
        print(f"  {name}: Dice {row['dice']:.3f}, HD95 {row['hd95_mm']:.3f} mm, ASSD {row['assd_mm']:.3f} mm")
    if compared:
        print(f"medpy hd95 + assd of {len(compared)} of them: {theirs:.2f} s, case_metrics {ours:.2f} s")
        print(f"ratio {theirs / ours:.1f}, largest difference {difference:.1e} mm")


if __name__ == "__main__":
    main()
