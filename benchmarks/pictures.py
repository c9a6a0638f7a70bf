# SPDX-License-Identifier: Apache-2.0
"""What a case's picture costs: of a heart in ten slices with an expert's outlines, and of an RGB image with one.

    python benchmarks/pictures.py

The cases are made here, with noise, so that they compress no better than real ones. The least of the repeats counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

import numpy as np
import PIL
from pranet_monai.data.labels import get_label_map
from pranet_monai.reports import draw_preview
from scipy.ndimage import gaussian_filter


def heart() -> bytes:
    image = gaussian_filter(np.random.default_rng(0).normal(100, 60, (256, 216, 10)), (1.5, 1.5, 0)).astype(np.float32)
    distance = np.hypot(*np.ogrid[-128:128, -108:108])
    mask = np.select([distance < 25, distance < 38], [3, 2], 0).astype(np.uint8)
    mask[120:150, 50:75] = 1
    mask = np.repeat(mask[..., None], 10, axis=2)
    notes = dict.fromkeys(("right_ventricle", "myocardium", "left_ventricle"), "98 ml (expert 101) · Dice 0.93")
    affine = np.diag([1.4, 1.4, 8.0, 1.0])
    return draw_preview("heart", mask, affine, get_label_map("acdc"), image, np.roll(mask, 2, 0), None, notes)


def polyp() -> bytes:
    image = gaussian_filter(np.random.default_rng(0).uniform(0, 255, (352, 300, 1, 3)), (2, 2, 0, 0)).astype(np.float32)
    mask = (np.hypot(*np.ogrid[-176:176, -150:150]) < 60).astype(np.uint8)[..., None]
    return draw_preview("polyp", mask, None, get_label_map("polyp"), image, np.roll(mask, 5, 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}; "
          f"Python {platform.python_version()}, numpy {np.__version__}, Pillow {PIL.__version__}")  # fmt: skip
    for draw in (heart, polyp):
        draw()  # fonts are loaded once
        times = []
        for _ in range(repeats):
            started = np.array([time.perf_counter(), time.process_time()])
            png = draw()
            times.append(1000 * (np.array([time.perf_counter(), time.process_time()]) - started))
        wall, processor = np.min(times, axis=0)
        print(f"{draw.__name__}: {wall:.0f} ms, {processor:.0f} ms of processors; {len(png) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
