# SPDX-License-Identifier: Apache-2.0
"""What became of one case, ready to be written down: by the process that ran it, or by another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.reports.kinds import Kind, create_kind
from pranet_monai.storage.tables import Row, write_atomically

__all__ = ["EXPECTED_DICE", "REVIEW", "CaseMeasurer", "CaseResult", "MeasuredRow", "WorkersReport"]

EXPECTED_DICE, REVIEW = "expected_dice", "review"
"""Columns of ``cases.csv`` where masks are judged without a reference: one per organ, one per row."""


@dataclass(frozen=True)
class MeasuredRow:
    """What was measured of a volume, an image or a frame.

    Attributes:
        name: of its row in ``cases.csv``.
        organs: a row per organ.
        has_reference: whether they hold metrics.
        review: whether a person should look at the mask first; None where that isn't known.
    """

    name: str
    organs: list[Row] = field(default_factory=list)
    has_reference: bool = False
    review: bool | None = None

    def judged(self, expected_dice: Mapping[str, float | None], review: bool) -> MeasuredRow:
        """The same with what is expected of it without a reference, organ by organ."""
        organs = [{**row, EXPECTED_DICE: expected_dice[row["organ"]]} for row in self.organs]
        return replace(self, organs=organs, review=review)


@dataclass(frozen=True)
class CaseResult:
    """What became of a case.

    Attributes:
        case: its name.
        status: "ok", "failed", or "skipped" where an earlier run has finished it.
        reason: why it failed.
        seconds: that it took, loading, saving, measuring and drawing included, waiting for the network's turn not; of a
            cine for each frame.
        network_seconds: of these, the network's own; None where it wasn't asked.
        rows: one, or one per frame of a cine; of a skipped case the names alone.
        remarks: what was assumed where its files say too little or contradict themselves.
        reference: the fingerprint of what it was measured by; empty without a reference.
    """

    case: str
    status: Literal["ok", "failed", "skipped"]
    reason: str = ""
    seconds: float | None = None
    network_seconds: float | None = None
    rows: list[MeasuredRow] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    reference: str = ""


class CaseMeasurer:
    """Measures and draws cases. It holds no table, so that several processes may do it side by side.

    Args:
        folder: of the run; takes the pictures.
        label_map: organs to measure, or the name of a known map.
        kind: how, or its name.
        window: centre and width of the pictures' grey scale; chosen from the image where ``None``.
        previews: draw a picture per case.
    """

    def __init__(
        self,
        folder: RunFolder | str | Path,
        label_map: LabelMap | str,
        kind: Kind | str,
        window: tuple[float, float] | None = None,
        previews: bool = True,
    ) -> None:
        self.folder = folder if isinstance(folder, RunFolder) else RunFolder(folder)
        self.label_map = get_label_map(label_map)
        self.kind = kind if isinstance(kind, Kind) else create_kind(kind)
        self.window = window
        self.previews = previews

    def measure(
        self,
        name: str,
        prediction: np.ndarray,
        affine: np.ndarray | None = None,
        image: np.ndarray | None = None,
        reference: np.ndarray | None = None,
    ) -> MeasuredRow:
        """Measure and draw.

        Args:
            name: of the row, ``sub/folder/stem``.
            prediction: what the kind takes: class numbers (H, W, D), or probabilities (H, W).
            affine: voxel index to mm, shape (4, 4); ``None`` where nothing is known of the place.
            image: grey values (H, W, D) or colours (H, W, 3), for the picture.
            reference: class numbers of the reference; gives metrics.

        Raises:
            BadCaseError: when reference and prediction don't fit together, or hold labels outside the map.
        """
        organs = self.kind.measure(prediction, reference, affine, self.label_map)
        if self.previews:
            legend = {row["organ"]: self.kind.legend_note(row) for row in organs}
            png = self.kind.draw(name, prediction, affine, self.label_map, image, reference, legend, self.window)
            write_atomically(self.folder.preview(name), png)
        return MeasuredRow(name, organs, reference is not None)


class WorkersReport:
    """What a process has of the report that another one writes: it measures and draws. Arguments of ``RunReport``."""

    def __init__(
        self,
        output_dir: str | Path,
        label_map: LabelMap | str,
        *,
        kind: Kind | str = "volume",
        window: tuple[float, float] | None = None,
        previews: bool = True,
        **_: object,
    ) -> None:
        self.measurer = CaseMeasurer(output_dir, label_map, kind, window, previews)
