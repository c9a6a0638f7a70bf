# SPDX-License-Identifier: Apache-2.0
"""What a case is, a volume or an RGB image: how it is measured, drawn and described."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pranet_monai.data.labels import LabelMap
from pranet_monai.reports.measures import Vocabulary
from pranet_monai.reports.previews import draw_preview
from pranet_monai.storage.tables import Row

__all__ = ["Kind"]


class Kind(ABC):
    """One kind of case. A new kind is a subclass in a file of its own and a row in ``KINDS``.

    Attributes:
        name: key in ``KINDS``.
        vocabulary: what its reports measure, in the words of their tables.
        organ_columns: columns of ``cases.csv`` per organ.
        takes_probabilities: whether its metrics want probabilities, where there are any, instead of labels.
    """

    name: ClassVar[str]
    vocabulary: ClassVar[Vocabulary]
    organ_columns: ClassVar[tuple[str, ...]]
    takes_probabilities: ClassVar[bool] = False

    @property
    @abstractmethod
    def metric_columns(self) -> list[str]:
        """Columns of ``metrics.csv``."""

    @property
    def options(self) -> dict[str, Any]:
        """How it measures, for ``run.json``."""
        return {}

    @abstractmethod
    def measure(
        self, prediction: np.ndarray, reference: np.ndarray | None, affine: np.ndarray | None, label_map: LabelMap
    ) -> list[Row]:
        """A row per organ: its size, and where there is a reference its metrics.

        Args:
            prediction: class numbers, or what else the kind takes, on the grid of the input file.
            reference: the class numbers of the reference, of the same shape.
            affine: voxel index to mm, (4, 4); None where nothing is known of the place.
            label_map: the organs.

        Raises:
            BadCaseError: prediction and reference don't fit together, or hold labels outside the map.
        """

    @abstractmethod
    def summarise(self, rows: Sequence[Row]) -> dict[str, Any]:
        """What ``summary.json`` says of the rows of metrics, the definitions among it."""

    def draw(
        self,
        name: str,
        prediction: np.ndarray,
        affine: np.ndarray | None,
        label_map: LabelMap,
        image: np.ndarray | None,
        reference: np.ndarray | None,
        legend: Mapping[str, str],
        window: tuple[float, float] | None = None,
    ) -> bytes:
        """A picture of a case as PNG; the arrays as in :meth:`measure`, the image with its grey values or colours."""
        return draw_preview(name, prediction, affine, label_map, image, reference, window, legend)

    def legend_note(self, row: Row) -> str:
        """What a picture's legend says beside an organ."""
        size = self.vocabulary.size
        value = row[size.key]
        note = f"{value:.1f} {size.unit}" if value < 10 and size.decimals else f"{value:.0f} {size.unit}"
        if "dice" in row:
            note += f" (reference {row[f'reference_{size.key}']:.0f})"
            note += f" · Dice {row['dice']:.2f}" if row["dice"] == row["dice"] else ""
        return note
