# SPDX-License-Identifier: Apache-2.0
"""Draws the figures of the pages: ``python docs/_site/figures.py`` writes ``docs/images/*.svg``.

Their grounds are transparent and their lines of a middle grey, so that they suit light and dark pages.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

IMAGES = Path(__file__).resolve().parents[1] / "images"
GREY, CLASS, REST, SUM = "#7f8c8d", "#0f9d8a", "#d9822b", "#5b7fd1"
STAGES = ("coarse", "middle", "fine")
COLUMN = 4.8  # from stage to stage


def dsra() -> None:
    """Three stages of a decoder with the head on them."""
    figure, axes = _canvas((10, 3.8), (-1.6, 11.3), (-0.9, 4.4))
    for i, name in enumerate(STAGES):
        x = COLUMN * i
        _box(axes, x, 3.8, f"decoder features,\n{name} stage", GREY)
        _box(axes, x - 0.75, 2.4, "class\n$P^f$", CLASS)
        _box(axes, x + 0.75, 2.4, "not class\n$P^b = R^b$", REST)
        _box(axes, x - 0.75, 1.1, "$R^f$", CLASS)
        for target in (x - 0.75, x + 0.75):
            _arrow(axes, (x, 3.4), (target, 2.85))
        _arrow(axes, (x - 0.75, 1.95), (x - 0.75, 1.5))
        _arrow(axes, (x - 0.75, 0.72), (COLUMN + 0.5 * (i - 1), -0.02))
        if i + 1 < len(STAGES):
            _raise(axes, x)
    _box(axes, COLUMN, -0.35, "sum of the stages: the answer", SUM, width=3.6, height=0.6)
    _save(figure, "dsra")


def gains() -> None:
    """What a stage's foreground is multiplied by, over how sure the coarser stage was."""
    figure, axes = plt.subplots(figsize=(5.5, 2.8))
    margin = np.linspace(-4, 4, 201)
    sigmoid = 1 / (1 + np.exp(-margin))
    four_classes = np.exp(margin) / (np.exp(margin) + 3)  # of which the three others have a margin of 0
    for values, label, color in (
        (1 + four_classes, "softmax, 4 classes, the others at 0", CLASS),
        (np.full_like(margin, 2), "softmax, 1 class: a constant", REST),
        (1 + sigmoid, "sigmoid", SUM),
    ):
        axes.plot(margin, values, color=color, label=label)
    axes.set_xlabel("margin of the coarser stage, $R^f - R^b$", color=GREY)
    axes.set_ylabel("factor, 1 + gain", color=GREY)
    axes.tick_params(colors=GREY)
    axes.spines[:].set_color(GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, labelcolor=GREY, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    _save(figure, "gains")


def missed() -> None:
    """Three cases of an organ, and what each costs."""
    figure, axes = _canvas((8, 2.6), (0, 10.4), (-1.1, 2.6))
    rows = (("found", 0.35, True, True), ("missed", 0.0, False, True), ("false positive", 0.0, True, False))
    for i, (name, shift, drawn, has_reference) in enumerate(rows):
        x = 1.7 + 3.5 * i
        axes.add_patch(plt.Rectangle((x - 1.5, 0.1), 3.0, 2.2, fill=False, color=GREY, linewidth=1))
        if drawn:
            axes.add_patch(plt.Circle((x + shift, 1.2), 0.7, color=CLASS, alpha=0.55, linewidth=0))
        if has_reference:
            axes.add_patch(plt.Circle((x, 1.2), 0.7, fill=False, color=REST, linewidth=2))
        if name != "found":
            axes.plot((x - 1.5, x + 1.5), (0.1, 2.3), ":", color=SUM, linewidth=1.5)
        cost = "Dice and HD95 as measured" if name == "found" else "Dice 0, HD95 = the diagonal"
        axes.text(x, -0.25, name, ha="center", va="center", color=GREY, fontweight="bold")
        axes.text(x, -0.75, cost, ha="center", va="center", color=GREY, fontsize=9)
    _save(figure, "missed")


def _raise(axes: Axes, x: float) -> None:
    """From both maps of a stage to the factor of the next, finer one."""
    axes.text(x + 2.35, 1.1, "× (1 + gain)", ha="center", va="center", color=SUM, fontsize=9)
    _arrow(axes, (x - 0.12, 1.1), (x + 1.6, 1.1), SUM)
    _arrow(axes, (x + 0.75, 2.0), (x + 2.0, 1.35), SUM)
    _arrow(axes, (x + 3.05, 1.1), (x + COLUMN - 1.38, 1.1), SUM)


def _canvas(size: tuple[float, float], x: tuple[float, float], y: tuple[float, float]) -> tuple[plt.Figure, Axes]:
    figure, axes = plt.subplots(figsize=size)
    axes.set(xlim=x, ylim=y)
    axes.axis("off")
    return figure, axes


def _box(
    axes: Axes, x: float, y: float, text: str, color: str, width: float | None = None, height: float = 0.8
) -> None:
    width = width or (2.4 if "\n" in text and "stage" in text else 1.25)
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(
        FancyBboxPatch(corner, width, height, "round,pad=0,rounding_size=0.12", fc=color + "26", ec=color, lw=1.3)
    )
    axes.text(x, y, text, ha="center", va="center", color=color, fontsize=9)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str = GREY) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.2})


def _save(figure: plt.Figure, name: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / f"{name}.svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    mpl.rcParams.update({"font.size": 10, "svg.hashsalt": "pranet-monai", "mathtext.fontset": "cm"})
    for draw in (dsra, gains, missed):
        draw()
