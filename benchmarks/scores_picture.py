# SPDX-License-Identifier: Apache-2.0
"""Draws every case's Dice of a bundle's evaluation, the lowest named: the failure picture of data that can't be shown.

python benchmarks/scores_picture.py chaos_mr
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from monai.bundle import ConfigParser
from pranet_monai.bundle_store import find_bundle

PICTURE = "docs/failures/dice.png"
SPREAD = 0.16  # of the dots about their organ's line


def draw(bundle: str, named: int) -> Path:
    """Writes the picture into the bundle; the ``named`` lowest Dice of all get their case's name."""
    folder = find_bundle(bundle).folder
    rows = pd.read_csv(folder / "docs" / "validation" / "metrics.csv")
    organs = list(dict.fromkeys(rows["organ"]))
    config = ConfigParser()
    config.read_config(folder / "configs" / "inference.json")
    label_map = config.get_parsed_content("label_map")
    colors = {organ: label_map.colors[classes[0]] for organ, classes in label_map.organs.items()}
    random = np.random.default_rng(0)
    rows["height"] = [organs.index(organ) for organ in rows["organ"]] + random.uniform(-SPREAD, SPREAD, len(rows))

    figure, axes = plt.subplots(figsize=(7.5, 1.1 + 0.7 * len(organs)), layout="constrained")
    for organ, group in rows.groupby("organ"):
        color = [channel / 255 for channel in colors[str(organ)]]
        axes.scatter(group["dice"], group["height"], s=22, color=color, edgecolor="black", linewidth=0.4)
    for row in rows.nsmallest(named, "dice").itertuples():
        label = Path(str(row.case)).name
        axes.annotate(label, (row.dice, row.height), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    axes.set(xlabel="Dice", xlim=(-0.05, 1.02), ylim=(len(organs) - 0.4, -0.6))
    axes.set_yticks(range(len(organs)), [name.replace("_", " ") for name in organs])
    axes.grid(axis="x", alpha=0.4)
    axes.spines[["top", "right"]].set_visible(False)
    (folder / PICTURE).parent.mkdir(exist_ok=True)
    figure.savefig(folder / PICTURE, dpi=120)
    return folder / PICTURE


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--named", type=int, default=4, help="how many of the lowest get their name (%(default)s)")
    arguments = parser.parse_args()
    print(draw(arguments.bundle, arguments.named))
