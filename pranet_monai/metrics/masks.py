# SPDX-License-Identifier: Apache-2.0
"""What every metric needs of its masks and spacing before it may compute, and the box that holds both masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

__all__ = [
    "Mask",
    "MissedPolicy",
    "Spacing",
    "Status",
    "as_mask_pair",
    "as_spacing",
    "check_option",
    "common_box",
    "mask_status",
    "missed_distance",
]

Mask = NDArray[np.bool_]
Spacing = Sequence[float] | NDArray[np.floating]
MissedPolicy = Literal["diagonal", "inf", "nan"]
Status = Literal["ok", "missed", "false_positive", "both_empty"]


def as_mask_pair(prediction: ArrayLike, reference: ArrayLike) -> tuple[Mask, Mask]:
    """Two boolean masks of one shape.

    Raises:
        ValueError: when the shapes differ, or an array holds other values than 0 and 1: a label volume taken for a mask
            would melt its organs into one.
    """
    masks = _as_mask(prediction, "prediction"), _as_mask(reference, "reference")
    if masks[0].shape != masks[1].shape:
        raise ValueError(f"prediction and reference must have one shape, got {masks[0].shape} and {masks[1].shape}")
    return masks


def _as_mask(array: ArrayLike, name: str) -> Mask:
    array = np.asarray(array)
    if array.dtype == bool:
        return array
    mask = array.astype(bool)
    if not np.array_equal(mask, array):
        raise ValueError(
            f"{name} must be a boolean mask, got {array.dtype} with values {array.min()} to {array.max()}; "
            "for a label volume pass `labels == index`, or use case_metrics"
        )
    return mask


def as_spacing(spacing: Spacing, dimensions: int) -> NDArray[np.float64]:
    """Voxel size in mm per array axis.

    Raises:
        ValueError: when there isn't one positive finite number per axis.
    """
    sizes = np.asarray(spacing, dtype=np.float64)
    if sizes.shape != (dimensions,) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(f"spacing must be {dimensions} positive numbers (mm, in the order of the axes), got {spacing}")
    return sizes


def common_box(prediction: Mask, reference: Mask) -> tuple[slice, ...]:
    """The smallest box around two masks that are not both empty."""
    return ndimage.find_objects((prediction | reference).view(np.uint8), max_label=1)[0]


def mask_status(prediction: Mask, reference: Mask) -> Status:
    """Which of the masks hold anything: "missed" is in the reference, "false_positive" in the prediction alone."""
    if reference.any():
        return "ok" if prediction.any() else "missed"
    return "false_positive" if prediction.any() else "both_empty"


def missed_distance(shape: Sequence[int], spacing: Spacing, missed: MissedPolicy) -> float:
    """The distance in mm that stands for an organ that only one of two masks holds.

    Args:
        shape: of the whole volume.
        spacing: voxel size in mm, in the order of the axes.
        missed: "diagonal" of the volume, which no distance in it can exceed; "inf"; or "nan".

    Raises:
        ValueError: when ``missed`` is none of these.
    """
    check_option("missed", missed, MissedPolicy)
    return float(np.linalg.norm(np.multiply(shape, spacing))) if missed == "diagonal" else float(missed)


def check_option(name: str, value: Any, allowed: Any) -> None:
    """Raises a ValueError that names the argument unless its value is one of a ``Literal``."""
    if value not in get_args(allowed):
        raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}, got {value!r}")
