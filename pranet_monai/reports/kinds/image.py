# SPDX-License-Identifier: Apache-2.0
"""RGB images with one finding: the polyp metrics, sizes in pixels, and no millimetres, as no image states them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError
from pranet_monai.metrics import polyp_metrics, summarise, summarise_polyps
from pranet_monai.metrics.polyp import POLYP_METRICS
from pranet_monai.reports.kinds.base import Kind
from pranet_monai.reports.measures import IMAGES, Vocabulary
from pranet_monai.storage.tables import Row

__all__ = ["ImageKind"]

DEFINITIONS = {
    "grid": "all metrics are computed at the image's own size; sizes are counts of pixels",
    "dice": "2 |P∩R| / (|P| + |R|) at the probability 0.5; higher is better",
    "iou": "|P∩R| / |P∪R| at the probability 0.5; higher is better",
    "mean_dice": "Dice, mean over 256 thresholds from 0 to 1",
    "mean_iou": "IoU, mean over 256 thresholds from 0 to 1",
    "weighted_f": "weighted F measure (Margolin et al., 2014) of the probabilities",
    "s_measure": "structure measure (Fan et al., 2017) of the probabilities",
    "mean_e": "enhanced alignment measure (Fan et al., 2018), mean over 256 thresholds",
    "mae": "mean absolute difference between probability and mask; lower is better",
    "missed": "a polyp that only the reference shows: Dice and IoU 0",
    "false_positive": "an image without polyp in which one is predicted: Dice and IoU 0; see without_polyp "
    "in summary.json",
    "both_empty": "an image in which neither shows a polyp is left out of the mean and counted",
    "ci95": "95 % percentile bootstrap interval of the mean over the images",
}


class ImageKind(Kind):
    """Probabilities (H, W) in [0, 1], or a mask of 0 and 1, at the image's size; an image (H, W, 3) has no affine."""

    name: ClassVar[str] = "image"
    vocabulary: ClassVar[Vocabulary] = IMAGES
    organ_columns: ClassVar[tuple[str, ...]] = ("pixels", "touches_border")
    takes_probabilities: ClassVar[bool] = True

    @property
    def metric_columns(self) -> list[str]:
        """See the base class."""
        measured = ("specificity", "pixels", "reference_pixels", "touches_border")
        return ["case", "organ", "status", *POLYP_METRICS, *measured]

    def measure(
        self, prediction: np.ndarray, reference: np.ndarray | None, affine: np.ndarray | None, label_map: LabelMap
    ) -> list[Row]:
        """See the base class."""
        mask = prediction >= 0.5
        if reference is not None and reference.shape != mask.shape:
            raise BadCaseError(f"the image has {mask.shape} pixels, its label {reference.shape}: must be equal")
        (organ,) = label_map.organs
        edge = np.ones_like(mask)
        edge[1:-1, 1:-1] = False
        row: Row = {"organ": organ, "pixels": int(mask.sum()), "touches_border": bool((mask & edge).any())}
        if reference is not None:
            row |= polyp_metrics(prediction, reference) | {"reference_pixels": int(reference.sum())}
        return [row]

    def summarise(self, rows: Sequence[Row]) -> dict[str, Any]:
        """See the base class."""
        return {"definitions": DEFINITIONS, **summarise(rows, metrics=POLYP_METRICS), **summarise_polyps(rows)}

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
        """See the base class: a volume of one slice."""
        mask = _as_volume((prediction >= 0.5).astype(np.uint8))
        picture = None if image is None else _as_volume(image)
        truth = None if reference is None else _as_volume(reference)
        return super().draw(name, mask, None, label_map, picture, truth, legend, window)


def _as_volume(array: np.ndarray) -> np.ndarray:
    """(H, W, ...) as the volume (column, row, 1, ...) that the picture is drawn of."""
    return array.swapaxes(0, 1)[:, :, None]
