# SPDX-License-Identifier: Apache-2.0
"""How the page names, rounds and orders what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pranet_monai.metrics import HIGHER_IS_BETTER

__all__ = ["EXPECTED", "METRICS", "PAPER_METRICS", "IMAGES", "VOLUME", "VOLUMES", "Measure", "Vocabulary", "plain_name"]


@dataclass(frozen=True)
class Measure:
    """A column of ``metrics.csv`` or a quantity of ``cases.csv`` as the page shows it.

    Attributes:
        key: name of the column.
        title: what a reader calls it.
        unit: "mm", "ml", "%" or "".
        decimals: digits after the point.
        higher_is_better: ``None`` where neither is.
        factor: from the stored to the shown value.
    """

    key: str
    title: str
    unit: str
    decimals: int
    higher_is_better: bool | None
    factor: float = 1

    @property
    def heading(self) -> str:
        """Title with the unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def text(self, value: float | None) -> str:
        """The value as a reader sees it; a dash where there is none."""
        if value is None or math.isnan(value):
            return "–"
        return "∞" if math.isinf(value) else f"{value * self.factor:.{self.decimals}f}"

    def interval(self, ends: Sequence[float]) -> str:
        """Both ends of an interval."""
        return f"{self.text(ends[0])} to {self.text(ends[1])}"

    def signed(self, difference: float) -> str:
        """A difference as a reader sees it, with its sign."""
        rounded = round(difference * self.factor, self.decimals)
        return "–" if math.isnan(rounded) else f"{rounded:+.{self.decimals}f}" if rounded else "0"


TITLES = {
    "dice": ("Dice", "", 3),
    "iou": ("IoU", "", 3),
    "hd95_mm": ("HD95", "mm", 1),
    "assd_mm": ("ASSD", "mm", 2),
    "nsd": ("NSD", "", 3),
}
METRICS = [Measure(key, *TITLES[key], higher) for key, higher in HIGHER_IS_BETTER.items()]
PAPER_METRICS = [
    Measure("paper_dice", "Dice (paper)", "", 3, True),
    Measure("paper_iou", "IoU (paper)", "", 3, True),
    Measure("paper_hd95_voxels", "HD95 (paper)", "voxels", 1, False),
    Measure("paper_assd_voxels", "ASSD (paper)", "voxels", 2, False),
]
EXPECTED = Measure("expected_dice", "Expected Dice", "", 2, True)
"""What is expected without a reference; a column of ``cases.csv`` per organ, see the package ``quality``."""
VOLUME = Measure("volume_ml", "Volume", "ml", 1, None)


@dataclass(frozen=True)
class Vocabulary:
    """What a report measures, in the words of its tables.

    Attributes:
        metrics: against the reference, in the order of the columns; the first one orders the cases.
        size: of an organ, with or without a reference.
        plotted: keys of the metrics that are drawn and stand at the top.
    """

    metrics: tuple[Measure, ...]
    size: Measure
    plotted: tuple[str, ...]


VOLUMES = Vocabulary(tuple(METRICS), VOLUME, ("dice", "hd95_mm"))
IMAGES = Vocabulary(
    (
        Measure("dice", "Dice", "", 3, True),
        Measure("iou", "IoU", "", 3, True),
        Measure("mean_dice", "meanDice", "", 3, True),
        Measure("mean_iou", "meanIoU", "", 3, True),
        Measure("weighted_f", "Weighted F", "", 3, True),
        Measure("s_measure", "S", "", 3, True),
        Measure("mean_e", "Mean E", "", 3, True),
        Measure("mae", "MAE", "", 4, False),
    ),
    Measure("pixels", "Area", "pixels", 0, None),
    ("dice", "iou"),
)


def plain_name(organ: str) -> str:
    """``left_ventricle`` as a reader writes it."""
    return organ.replace("_", " ")
