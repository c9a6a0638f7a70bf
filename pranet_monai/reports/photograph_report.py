# SPDX-License-Identifier: Apache-2.0
"""The report of a run over photographs: the polyp metrics, sizes in pixels, and no millimetre that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pranet_monai.errors import BadCaseError
from pranet_monai.metrics import polyp_metrics, summarise, summarise_polyps
from pranet_monai.metrics.polyp import POLYP_METRICS
from pranet_monai.reports.measures import PHOTOGRAPHS
from pranet_monai.reports.run_report import RunReport
from pranet_monai.storage.tables import Row

__all__ = ["PhotographReport"]

DEFINITIONS = {
    "grid": "all metrics are computed at the photograph's own size; sizes are counts of pixels",
    "dice": "2 |P∩R| / (|P| + |R|) at the probability 0.5; higher is better",
    "iou": "|P∩R| / |P∪R| at the probability 0.5; higher is better",
    "mean_dice": "Dice, mean over 256 thresholds from 0 to 1",
    "mean_iou": "IoU, mean over 256 thresholds from 0 to 1",
    "weighted_f": "weighted F measure (Margolin et al., 2014) of the probabilities",
    "s_measure": "structure measure (Fan et al., 2017) of the probabilities",
    "mean_e": "enhanced alignment measure (Fan et al., 2018), mean over 256 thresholds",
    "mae": "mean absolute difference between probability and mask; lower is better",
    "missed": "a polyp that only the expert drew: Dice and IoU 0",
    "false_positive": "an image without polyp in which one is predicted: Dice and IoU 0; see without_polyp "
    "in summary.json",
    "both_empty": "an image in which neither shows a polyp is left out of the mean and counted",
    "ci95": "95 % percentile bootstrap interval of the mean over the images",
}


class PhotographReport(RunReport):
    """A :class:`RunReport` on photographs with one kind of finding; takes probabilities in place of labels."""

    vocabulary = PHOTOGRAPHS
    organ_columns = ["pixels", "touches_border"]
    metric_columns = [
        *("case", "organ", "status", *POLYP_METRICS, "specificity", "pixels", "reference_pixels", "touches_border")
    ]

    def add_case(
        self,
        case: str,
        prediction: np.ndarray,
        affine: np.ndarray | None = None,
        image: np.ndarray | None = None,
        reference: np.ndarray | None = None,
        seconds: float | None = None,
    ) -> None:
        """Measure, draw and record a finished photograph.

        Args:
            case: its name, ``sub/folder/stem``.
            prediction: probability (H, W) in [0, 1], at the photograph's size.
            affine: none; a photograph has no place in space.
            image: colours (H, W, 3), for the preview.
            reference: expert's mask (H, W) of 0 and 1; gives the case its row of metrics.
            seconds: time that the case took.

        Raises:
            BadCaseError: when reference and prediction differ in size.
        """
        mask = prediction >= 0.5
        if reference is not None and reference.shape != mask.shape:
            raise BadCaseError(f"the photograph has {mask.shape} pixels, its label {reference.shape}: must be equal")
        (organ,) = self.label_map.organs
        edge = np.ones_like(mask)
        edge[1:-1, 1:-1] = False
        row: Row = {"organ": organ, "pixels": int(mask.sum()), "touches_border": bool((mask & edge).any())}
        if reference is not None:
            row |= polyp_metrics(prediction, reference) | {"reference_pixels": int(reference.sum())}
        picture = None if image is None else _as_volume(image)
        expert = None if reference is None else _as_volume(reference)
        self._record(case, [row], _as_volume(mask.astype(np.uint8)), None, picture, expert, seconds)

    def _measure_again(self, case: str, mask: str | Path) -> None:
        self.add_case(case, (np.asarray(Image.open(mask)) > 0).astype(np.float32))

    def _summary(self, rows: list[Row]) -> dict[str, Any]:
        return {"definitions": DEFINITIONS, **summarise(rows, metrics=POLYP_METRICS), **summarise_polyps(rows)}


def _as_volume(array: np.ndarray) -> np.ndarray:
    """(H, W, ...) as the volume (column, row, 1, ...) that a photograph is to :class:`RunReport`."""
    return array.swapaxes(0, 1)[:, :, None]
