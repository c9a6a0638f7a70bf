# SPDX-License-Identifier: Apache-2.0
"""All metrics of all organs of one case: the rows of a report's table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pranet_monai.errors import BadCaseError, some_of
from pranet_monai.metrics.masks import Mask, MissedPolicy, Spacing, as_spacing, missed_distance
from pranet_monai.metrics.overlap import dice, iou
from pranet_monai.metrics.surface import DEFAULT_TOLERANCE_MM, HD95Definition, SurfaceDistances
from scipy import ndimage

__all__ = ["HIGHER_IS_BETTER", "case_metrics"]

HIGHER_IS_BETTER = {"dice": True, "iou": True, "hd95_mm": False, "assd_mm": False, "nsd": True}
"""The metrics in a row, in the order of the columns."""

Labels = NDArray[np.integer]
Box = tuple[slice, ...]


def case_metrics(
    prediction: ArrayLike,
    reference: ArrayLike | None,
    organs: Mapping[str, Sequence[int]],
    spacing: Spacing,
    *,
    definition: HD95Definition = "pooled",
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    missed: MissedPolicy = "diagonal",
    labels: Collection[int] | None = None,
    voxel_ml: float | None = None,
) -> list[dict[str, Any]]:
    """Measures each organ of one case, on the whole volume.

    Args:
        prediction: labels (H, W, D), in any order of the axes.
        reference: labels of the same shape; None measures the prediction alone.
        organs: name → the labels whose union is the organ.
        spacing: voxel size in mm, in the order of the axes.
        definition: of HD95, see :func:`~pranet_monai.metrics.hd95`.
        tolerance_mm: of NSD.
        missed: HD95 and ASSD of an organ that only one of the volumes holds: "diagonal" of the volume in mm, "inf" or
            "nan". Its Dice, IoU and NSD are 0.
        labels: all labels that the volumes may hold; default: background and those in ``organs``.
        voxel_ml: volume of a voxel; default: the product of ``spacing``, which is right for perpendicular axes only.

    Returns:
        One row per organ: ``organ``, then with a reference ``dice``, ``iou``, ``hd95_mm``, ``assd_mm``, ``nsd``,
        ``reference_volume_ml``, ``reference_voxels`` and ``status`` ("ok", "missed", "false_positive" or
        "both_empty", in which case the five metrics are NaN), and always ``volume_ml``, ``voxels`` and
        ``touches_border`` (the organ reaches a face of the volume, so a part of it may lie outside; the faces of a
        single slice are its sides alone).

    Raises:
        BadCaseError: when the grids differ, or a volume holds labels outside ``labels``.
        ValueError: when ``spacing`` or an option is none of the above.
    """
    known = {0}.union(*organs.values()) if labels is None else {0, *labels}
    predicted = _Segmentation(prediction, known, "prediction")
    sizes = as_spacing(spacing, predicted.labels.ndim)
    voxel_ml = float(np.prod(sizes)) / 1000 if voxel_ml is None else voxel_ml
    if reference is None:
        return [{"organ": organ, **predicted.size(indices, voxel_ml)} for organ, indices in organs.items()]

    truth = _Segmentation(reference, known, "reference")
    shape = predicted.labels.shape
    if truth.labels.shape != shape:
        raise BadCaseError(f"prediction and reference must lie on one grid, got {shape} and {truth.labels.shape}")
    penalty = missed_distance(shape, sizes, missed)
    rows = []
    for organ, indices in organs.items():
        box = _around(predicted.boxes(indices) + truth.boxes(indices))
        masks = predicted.mask(indices, box), truth.mask(indices, box)
        surfaces = SurfaceDistances(*masks, sizes, penalty)
        scores = dice(*masks), iou(*masks), surfaces.hd95(definition), surfaces.assd(), surfaces.nsd(tolerance_mm)
        row = {"organ": organ, **dict(zip(HIGHER_IS_BETTER, scores)), **predicted.size(indices, voxel_ml)}
        voxels = int(np.count_nonzero(masks[1]))
        row |= {"reference_volume_ml": voxels * voxel_ml, "reference_voxels": voxels, "status": surfaces.status}
        rows.append(row)
    return rows


class _Segmentation:
    """A label volume and the box of each of its labels, found in one pass."""

    def __init__(self, labels: ArrayLike, known: set[int], name: str) -> None:
        self.labels = _as_integers(np.asarray(labels), name)
        if self.labels.size and (self.labels.min() < 0 or self.labels.max() > max(known)):
            raise _unknown_labels(self.labels, known, name)
        found = ndimage.find_objects(self.labels)
        self._boxes: dict[int, Box] = {index: box for index, box in enumerate(found, start=1) if box}
        if not known.issuperset(self._boxes):
            raise _unknown_labels(self.labels, known, name)

    def boxes(self, indices: Sequence[int]) -> list[Box]:
        return [self._boxes[index] for index in indices if index in self._boxes]

    def mask(self, indices: Sequence[int], box: Box | None) -> Mask:
        """Where any of the labels is, inside the box."""
        if box is None:
            return np.zeros((1,) * self.labels.ndim, dtype=bool)
        crop = self.labels[box]
        return crop == indices[0] if len(indices) == 1 else np.isin(crop, indices)

    def size(self, indices: Sequence[int], voxel_ml: float) -> dict[str, Any]:
        box = _around(self.boxes(indices))
        voxels = int(np.count_nonzero(self.mask(indices, box)))
        touches = box is not None and any(
            n > 1 and (s.start == 0 or s.stop == n) for s, n in zip(box, self.labels.shape)
        )
        return {"volume_ml": voxels * voxel_ml, "voxels": voxels, "touches_border": touches}


def _as_integers(labels: NDArray[Any], name: str) -> Labels:
    if np.issubdtype(labels.dtype, np.integer):
        return labels
    with np.errstate(invalid="ignore"):  # NaN becomes some number, and the comparison finds it
        whole = labels.astype(np.int64)
    if not np.array_equal(whole, labels):
        raise BadCaseError(f"{name} must hold whole numbers as labels, got {labels.dtype} with fractions or NaN")
    return whole


def _unknown_labels(labels: Labels, known: set[int], name: str) -> BadCaseError:
    counts = zip(*(found.tolist() for found in np.unique(labels, return_counts=True)))
    unknown = [f"{label} ({voxels} voxels)" for label, voxels in counts if label not in known]
    return BadCaseError(f"{name} holds labels outside the label map: {some_of(unknown, 10)}; known are {sorted(known)}")


def _around(boxes: list[Box]) -> Box | None:
    """The smallest box around boxes."""
    if not boxes:
        return None
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes))
