# SPDX-License-Identifier: Apache-2.0
"""What a case's picture costs: of a heart in ten slices, an abdomen in twelve and an RGB image, with outlines.

    python benchmarks/pictures.py

The cases are made here, with noise, so that they compress no better than real ones. The least of the repeats counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import PIL
from pranet_monai.data.labels import get_label_map
from pranet_monai.reports import draw_preview
from scipy.ndimage import gaussian_filter

Draw = Callable[[], bytes]


def heart() -> Draw:
    image = gaussian_filter(np.random.default_rng(0).normal(100, 60, (256, 216, 10)), (1.5, 1.5, 0)).astype(np.float32)
    distance = np.hypot(*np.ogrid[-128:128, -108:108])
    mask = np.select([distance < 25, distance < 38], [3, 2], 0).astype(np.uint8)
    mask[120:150, 50:75] = 1
    mask = np.repeat(mask[..., None], 10, axis=2)
    return drawn("heart", mask, np.diag([1.4, 1.4, 8.0, 1.0]), "acdc", image, np.roll(mask, 2, 0))


def abdomen() -> Draw:
    """A CT of eight organs."""
    noise = gaussian_filter(np.random.default_rng(0).normal(50, 150, (256, 256, 100)).astype(np.float32), (1.5, 1.5, 0))
    image = noise.repeat(2, 0).repeat(2, 1)
    image[:, 470:] -= 1000
    mask = np.zeros(image.shape, np.uint8)
    grids = np.ogrid[0:512, 0:512, 0:100]
    for label in range(1, 9):
        middle, half_axes = (60 + 48 * label, 200 + 60 * (label % 3), 50), (40, 60, 45)
        distance = sum(((grid - at) / half) ** 2 for grid, at, half in zip(grids, middle, half_axes))
        mask[distance < 1] = label
    return drawn("abdomen", mask, np.diag([-0.8, -0.8, 3.0, 1.0]), "synapse8", image, np.roll(mask, 4, 0))


def polyp() -> Draw:
    image = gaussian_filter(np.random.default_rng(0).uniform(0, 255, (352, 300, 1, 3)), (2, 2, 0, 0)).astype(np.float32)
    mask = (np.hypot(*np.ogrid[-176:176, -150:150]) < 60).astype(np.uint8)[..., None]
    return drawn("polyp", mask, None, "polyp", image, np.roll(mask, 5, 0))


def drawn(
    name: str, mask: np.ndarray, affine: np.ndarray | None, label_map: str, image: np.ndarray, reference: np.ndarray
) -> Draw:
    """Draws a case whose arrays lie in memory as those of a NIfTI file, the first axis next to each other."""
    known = get_label_map(label_map)
    notes = dict.fromkeys(known.organs, "98 ml (reference 101) · Dice 0.93")
    mask, image, reference = map(np.asfortranarray, (mask, image, reference))
    return partial(draw_preview, name, mask, affine, known, image, reference, None, notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}; "
          f"Python {platform.python_version()}, numpy {np.__version__}, Pillow {PIL.__version__}")  # fmt: skip
    for make in (heart, abdomen, polyp):
        draw = make()
        draw()  # fonts are loaded once
        times = []
        for _ in range(repeats):
            started = np.array([time.perf_counter(), time.process_time()])
            png = draw()
            times.append(1000 * (np.array([time.perf_counter(), time.process_time()]) - started))
        wall, processor = np.min(times, axis=0)
        print(f"{make.__name__}: {wall:.0f} ms, {processor:.0f} ms of processors; {len(png) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
