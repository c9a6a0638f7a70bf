# SPDX-License-Identifier: Apache-2.0
"""Box plots as inline SVG, which takes the colours of the page and prints sharply."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator
from pranet_monai.reports.markup import Markup, element, join
from pranet_monai.reports.measures import Measure, plain_name

__all__ = ["DOTS", "box_plot"]

WIDTH, LEFT, RIGHT, TOP, ROW, AXIS = 520, 128, 16, 6, 36, 34
BOX, DOT, SCATTER = 16, 2.6, 5.0  # pixels: height of a box, radius of a dot, how far dots stray from the middle
TICKS = 5
DOTS = 300
"""Cases of an organ up to which each has a dot; of more, those furthest beyond the whiskers alone."""


def box_plot(
    measure: Measure,
    values: Mapping[str, Sequence[tuple[str, float]]],
    colors: Mapping[str, str],
    warnings: Mapping[str, str] | None = None,
) -> Markup:
    """Draw a box and the single cases of each organ, organs below each other.

    Box: quartiles and median; whiskers: the furthest cases within 1.5 times the box's length (Tukey).

    Args:
        measure: what is drawn.
        values: organ → (case, finite value).
        colors: organ → CSS colour.
        warnings: organ → what stands below its name.
    """
    ticks = _ticks([value for pairs in values.values() for _, value in pairs], measure)

    def x(value: float) -> float:
        return LEFT + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (WIDTH - LEFT - RIGHT)

    height = TOP + ROW * len(values) + AXIS
    pieces = [_axis(measure, ticks, [x(tick) for tick in ticks], height)]
    for row, (organ, pairs) in enumerate(values.items()):
        middle = TOP + ROW * (row + 0.5)
        warning = (warnings or {}).get(organ, "")
        pieces.append(element("text", plain_name(organ), x=LEFT - 10, y=middle - 7 * bool(warning), class_="name"))
        pieces.append(element("text", warning, x=LEFT - 10, y=middle + 8, class_="warning"))
        if pairs:
            positions = [x(value) for _, value in pairs]
            box = _quartiles(positions)
            pieces.append(_box(box, middle, colors[organ]))
            dots = range(len(pairs)) if len(pairs) <= DOTS else _outliers(positions, box)
            pieces += _dots([pairs[i] for i in dots], [positions[i] for i in dots], middle, colors[organ], measure)
    return element(
        "svg", *pieces, viewBox=f"0 0 {WIDTH} {height}", class_="plot", role="img",
        aria_label=f"Box plots of {measure.heading} per organ",
    )  # fmt: skip


def _ticks(values: list[float], measure: Measure) -> list[float]:
    """Round numbers that enclose the values; a distance or volume begins at 0, a score ends at 1."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    low, high = (low, 1.0) if measure.higher_is_better else (0.0, high)
    if high - low < 1e-9:
        low, high = (high - 0.1, high) if measure.higher_is_better else (low, low + 1.0)
    ticks = MaxNLocator(TICKS, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    first = max(index for index, tick in enumerate(ticks) if tick <= low + 1e-9)
    last = min(index for index, tick in enumerate(ticks) if tick >= high - 1e-9)
    return [float(tick) for tick in ticks[first : last + 1]]


def _axis(measure: Measure, ticks: list[float], positions: list[float], height: int) -> Markup:
    bottom = height - AXIS
    pieces = [element("text", measure.heading, x=(LEFT + WIDTH - RIGHT) / 2, y=height - 4, class_="title")]
    for tick, position in zip(ticks, positions, strict=True):
        pieces.append(element("line", x1=f"{position:.1f}", x2=f"{position:.1f}", y1=TOP, y2=bottom, class_="grid"))
        pieces.append(element("text", f"{tick:g}", x=f"{position:.1f}", y=bottom + 13, class_="tick"))
    return join(*pieces)


class _Box(NamedTuple):
    low: float
    first: float
    median: float
    third: float
    high: float


def _quartiles(positions: list[float]) -> _Box:
    first, median, third = (float(value) for value in np.percentile(positions, (25, 50, 75)))
    reach = 1.5 * (third - first)
    low = min(position for position in positions if position >= first - reach)
    high = max(position for position in positions if position <= third + reach)
    return _Box(low, first, median, third, high)


def _outliers(positions: list[float], box: _Box) -> list[int]:
    """Which cases lie beyond the whiskers, the furthest first."""
    beyond = [max(box.low - position, position - box.high) for position in positions]
    found = [index for index, distance in enumerate(beyond) if distance > 0]
    return sorted(found, key=lambda index: -beyond[index])[:DOTS]


def _box(box: _Box, middle: float, color: str) -> Markup:
    low, first, median, third, high = box
    top, bottom, length = middle - BOX / 2, middle + BOX / 2, max(third - first, 0.5)
    return join(
        element("line", x1=f"{low:.1f}", x2=f"{high:.1f}", y1=middle, y2=middle, class_="whisker"),
        element("rect", x=f"{first:.1f}", y=top, width=f"{length:.1f}", height=BOX, class_="box", fill=color),
        element("line", x1=f"{median:.1f}", x2=f"{median:.1f}", y1=top, y2=bottom, class_="median"),
    )


def _dots(
    pairs: Sequence[tuple[str, float]], positions: list[float], middle: float, color: str, measure: Measure
) -> list[Markup]:
    dots = []
    for index, ((case, value), position) in enumerate(zip(pairs, positions, strict=True)):
        stray = SCATTER * math.sin(2.4 * index)  # even, and the same whenever the page is written
        label = element("title", f"{case}: {measure.text(value)}")
        dots.append(
            element(
                "circle", label, cx=f"{position:.1f}", cy=f"{middle + stray:.1f}", r=DOT, fill=color, data_open=case
            )
        )
    return dots
