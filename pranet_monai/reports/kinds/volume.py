# SPDX-License-Identifier: Apache-2.0
"""Volumes: organs in ml, surfaces in mm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import UsageError
from pranet_monai.metrics import case_metrics, summarise
from pranet_monai.metrics.masks import MissedPolicy
from pranet_monai.metrics.paper import PAPER_VOLUME_NOTE, paper_case_metrics, summarise_paper
from pranet_monai.metrics.surface import DEFAULT_TOLERANCE_MM, HD95Definition
from pranet_monai.reports.definitions import definitions
from pranet_monai.reports.kinds.base import Kind
from pranet_monai.reports.measures import VOLUMES, Vocabulary
from pranet_monai.reports.views import voxel_sizes
from pranet_monai.storage.tables import Row

__all__ = ["VolumeKind"]

METRIC_COLUMNS = [
    *("case", "organ", "status", "dice", "iou", "hd95_mm", "assd_mm", "nsd"),
    *("volume_ml", "reference_volume_ml", "voxels", "reference_voxels", "touches_border"),
]
PAPER_COLUMNS = ["paper_dice", "paper_iou", "paper_hd95_voxels", "paper_assd_voxels"]


class VolumeKind(Kind):
    """Labels (H, W, D) of several organs, measured in 3D.

    Args:
        definition: of HD95, "pooled" or "max".
        tolerance_mm: of NSD.
        missed: what the distances of an organ that only one of the masks holds count as.
        protocol: "paper" adds the papers' numbers, faults included, under names of their own.

    Raises:
        UsageError: an unknown protocol, or a tolerance that is no length.
    """

    name: ClassVar[str] = "volume"
    vocabulary: ClassVar[Vocabulary] = VOLUMES
    organ_columns: ClassVar[tuple[str, ...]] = ("voxels", "volume_ml", "touches_border")

    def __init__(
        self,
        definition: HD95Definition = "pooled",
        tolerance_mm: float = DEFAULT_TOLERANCE_MM,
        missed: MissedPolicy = "diagonal",
        protocol: Literal["paper"] | None = None,
    ) -> None:
        if protocol not in (None, "paper"):
            raise UsageError(f"protocol={protocol!r}: allowed are None and 'paper'")
        if not 0 <= tolerance_mm < math.inf:
            raise UsageError(f"tolerance_mm={tolerance_mm}: allowed: 0 mm or more")
        self.protocol = protocol
        self.metric_options: dict[str, Any] = {"definition": definition, "tolerance_mm": tolerance_mm, "missed": missed}

    @property
    def metric_columns(self) -> list[str]:
        """See the base class."""
        return METRIC_COLUMNS + (PAPER_COLUMNS if self.protocol == "paper" else [])

    @property
    def options(self) -> dict[str, Any]:
        """See the base class."""
        return {**self.metric_options, "protocol": self.protocol}

    def measure(
        self, prediction: np.ndarray, reference: np.ndarray | None, affine: np.ndarray | None, label_map: LabelMap
    ) -> list[Row]:
        """See the base class."""
        affine = np.eye(4) if affine is None else affine
        # the determinant, as a tilted gantry shears the voxels: their edges alone would say too much
        spacing, voxel_ml = voxel_sizes(affine), abs(float(np.linalg.det(affine[:3, :3]))) / 1000
        organs, labels = label_map.organs, list(label_map.labels)
        rows = case_metrics(
            prediction, reference, organs, spacing, labels=labels, voxel_ml=voxel_ml, **self.metric_options
        )
        if self.protocol == "paper" and reference is not None:
            paper = paper_case_metrics(prediction, reference, organs)
            rows = [row | as_in_paper for row, as_in_paper in zip(rows, paper, strict=True)]
        return rows

    def summarise(self, rows: Sequence[Row]) -> dict[str, Any]:
        """See the base class."""
        summary = {"definitions": definitions(**self.metric_options), **summarise(rows)}
        if self.protocol == "paper":
            summary["paper"] = {"note": PAPER_VOLUME_NOTE, **summarise_paper(rows)}
        return summary
