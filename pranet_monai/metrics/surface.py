# SPDX-License-Identifier: Apache-2.0
"""Distances between the surfaces of two masks, in mm: HD95, ASSD and NSD from one search per mask.

The search is a distance transform of the box around both masks or, where the surfaces fill little of that box, a
neighbour search in a k-d tree of surface voxels; the distances are the same. Both serve all three metrics.

The surface of a mask is the set of its voxels that have a background voxel among their face neighbours; outside the
volume is background. This is the definition of medpy, of MONAI (``use_subvoxels=False``) and of Metrics Reloaded
(Maier-Hein et al., Nature Methods 2024). surface-distance weights surface elements by their area instead, so its
numbers are close but not equal.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pranet_monai.metrics.masks import (
    Mask,
    MissedPolicy,
    Spacing,
    as_mask_pair,
    as_spacing,
    check_option,
    common_box,
    mask_status,
    missed_distance,
)
from scipy import ndimage
from scipy.spatial import cKDTree

__all__ = ["DEFAULT_TOLERANCE_MM", "HD95Definition", "SurfaceDistances", "assd", "hd95", "nsd"]

HD95Definition = Literal["pooled", "max"]
Distances = NDArray[np.float64]

DEFAULT_TOLERANCE_MM = 2.0
_ROUNDING_MM = 1e-6  # a distance of 3 × 0.7 mm must count as within 2.1 mm, whatever the last bit says
_VOXELS_PER_QUERY = 16  # transforming 16 voxels costs about what finding one nearest neighbour in a tree costs


class SurfaceDistances:
    """The distances between the surfaces of two masks, computed once for all metrics that are made of them.

    Args:
        prediction: mask (D, H, W), boolean or holding only 0 and 1; any number of axes.
        reference: mask of the same shape.
        spacing: voxel size in mm, in the order of the axes.
        missed: the distance when exactly one mask is empty: "diagonal" of the volume in mm, the upper bound of all
            distances in it; "inf"; "nan"; or a number of mm. When both are empty every metric is NaN.

    Attributes:
        status: "ok", or which mask is empty: "missed" (the prediction), "false_positive" (the reference), "both_empty".
        to_reference: mm from each surface voxel of the prediction to the nearest one of the reference, (P,).
        to_prediction: the other way round, (R,). Both have no element unless ``status`` is "ok".

    Raises:
        ValueError: when the shapes differ, an array is no mask, or ``spacing`` or ``missed`` is none of the above.
    """

    def __init__(
        self, prediction: ArrayLike, reference: ArrayLike, spacing: Spacing, missed: MissedPolicy | float = "diagonal"
    ) -> None:
        prediction, reference = as_mask_pair(prediction, reference)
        sizes = as_spacing(spacing, prediction.ndim)
        penalty = missed_distance(prediction.shape, sizes, missed) if isinstance(missed, str) else missed
        self.status = mask_status(prediction, reference)
        self._without_surfaces = np.nan if self.status == "both_empty" else penalty
        self.to_reference = self.to_prediction = np.empty(0)
        if self.status == "ok":
            box = common_box(prediction, reference)
            surfaces = _surface(prediction[box]), _surface(reference[box])
            self.to_reference = _distances(*surfaces, sizes)
            self.to_prediction = _distances(*surfaces[::-1], sizes)

    def hd95(self, definition: HD95Definition = "pooled") -> float:
        """The 95th percentile of the Hausdorff distance in mm, see :func:`hd95`."""
        check_option("definition", definition, HD95Definition)
        if self.status != "ok":
            return self._without_surfaces
        if definition == "pooled":
            return float(np.percentile(np.concatenate([self.to_reference, self.to_prediction]), 95))
        return float(max(np.percentile(self.to_reference, 95), np.percentile(self.to_prediction, 95)))

    def assd(self) -> float:
        """The average symmetric surface distance in mm, see :func:`assd`."""
        if self.status != "ok":
            return self._without_surfaces
        count = self.to_reference.size + self.to_prediction.size
        return float((self.to_reference.sum() + self.to_prediction.sum()) / count)

    def nsd(self, tolerance_mm: float = DEFAULT_TOLERANCE_MM) -> float:
        """The normalized surface distance, see :func:`nsd`."""
        if not tolerance_mm >= 0:
            raise ValueError(f"tolerance_mm must be at least 0, got {tolerance_mm}")
        if self.status != "ok":
            return np.nan if self.status == "both_empty" else 0.0
        limit = tolerance_mm + _ROUNDING_MM
        within = np.count_nonzero(self.to_reference <= limit) + np.count_nonzero(self.to_prediction <= limit)
        return float(within / (self.to_reference.size + self.to_prediction.size))


def hd95(
    prediction: ArrayLike,
    reference: ArrayLike,
    spacing: Spacing,
    definition: HD95Definition = "pooled",
    *,
    missed: MissedPolicy = "diagonal",
) -> float:
    """95th percentile of the Hausdorff distance between the surfaces of two masks, in mm.

    Args:
        prediction: mask (D, H, W), boolean or holding only 0 and 1; any number of axes.
        reference: mask of the same shape.
        spacing: voxel size in mm, in the order of the axes.
        definition: "pooled": percentile of the distances of both directions together (medpy, the segmentation papers);
            "max": the larger of the percentiles of each direction (MONAI, Metrics Reloaded). "max" is never much
            smaller, and much larger where one mask lacks a small part.
        missed: the result when exactly one mask is empty: "diagonal" of the volume in mm, "inf" or "nan".

    Returns:
        mm; NaN when both masks are empty.

    Raises:
        ValueError: when the shapes differ, an array is no mask, or another argument is none of the above.
    """
    return SurfaceDistances(prediction, reference, spacing, missed).hd95(definition)


def assd(prediction: ArrayLike, reference: ArrayLike, spacing: Spacing, *, missed: MissedPolicy = "diagonal") -> float:
    """Average symmetric surface distance: the mean of the distances of both directions together, in mm.

    Arguments, empty masks and errors as for :func:`hd95`.
    """
    return SurfaceDistances(prediction, reference, spacing, missed).assd()


def nsd(
    prediction: ArrayLike, reference: ArrayLike, spacing: Spacing, tolerance_mm: float = DEFAULT_TOLERANCE_MM
) -> float:
    """Normalized surface distance (surface Dice): the part of both surfaces that lies within a tolerance of the other.

    After Nikolov et al. (JMIR 2021), with surface voxels counted, each as one.

    Args:
        prediction: mask (D, H, W), boolean or holding only 0 and 1; any number of axes.
        reference: mask of the same shape.
        spacing: voxel size in mm, in the order of the axes.
        tolerance_mm: the largest distance in mm that counts as agreement, itself included.

    Returns:
        0 (also when exactly one mask is empty) to 1; NaN when both are empty.

    Raises:
        ValueError: when the shapes differ, an array is no mask, or another argument is none of the above.
    """
    return SurfaceDistances(prediction, reference, spacing).nsd(tolerance_mm)


def _surface(mask: Mask) -> Mask:
    # The default border value, 0, makes voxels on the array's edge surface. That holds in a box around the mask as in
    # the whole volume, as there is only background beyond either: cropping changes nothing.
    return mask & ~ndimage.binary_erosion(mask)


def _distances(start: Mask, target: Mask, spacing: NDArray[np.float64]) -> Distances:
    """Distance in mm from each voxel of ``start``, in array order, to the nearest voxel of ``target``."""
    apart = start & ~target  # good predictions share much of their surface: distance 0, nothing to look for
    distances = np.zeros(np.count_nonzero(start))
    if np.count_nonzero(apart) + np.count_nonzero(target) < start.size / _VOXELS_PER_QUERY:
        nearest = cKDTree(np.argwhere(target) * spacing).query(np.argwhere(apart) * spacing)[0]
    else:
        nearest = ndimage.distance_transform_edt(~target, sampling=spacing)[apart]
    distances[apart[start]] = nearest
    return distances
