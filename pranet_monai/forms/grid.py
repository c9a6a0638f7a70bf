# SPDX-License-Identifier: Apache-2.0
"""Where the voxels of a volume lie: the metadata that every volume carries, and the one rule for "the same grid"."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import ImageMetaKey, MetaKeys
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.remarks import add_remarks

__all__ = [
    "FRAMES",
    "ORIGINAL_SHAPE",
    "check_range",
    "check_same_grid",
    "checked_affine",
    "corner_shift_mm",
    "finite_voxels",
    "frame_count",
    "is_same_grid",
    "labelled_frames",
    "original_affine",
    "references_by_frame",
    "volume_tensor",
]

ORIGINAL_SHAPE = "original_shape"
"""Meta key: shape of the file's own array, (H, W), (H, W, D) or (H, W, D, T)."""

FRAMES = "frames"
"""Meta key: the frames of a 4D file that became the channels; absent for 2D and 3D."""

MAX_CORNER_SHIFT = 0.1
"""Fraction of the shortest voxel edge by which the corners of two equal grids may differ; headers round differently."""


MAX_VALUE = 1e30
"""Of a voxel: float32 ends at 3.4e38, and the change of grey values adds and multiplies."""


def volume_tensor(path: str, array: torch.Tensor, affine: np.ndarray, meta: Mapping[str, Any]) -> MetaTensor:
    """What every reader of volumes gives: the array with where it came from and where its voxels lie.

    Args:
        path: of the file, or of the folder of a series.
        array: (C, H, W, D) float32.
        affine: voxel to RAS mm, 4 x 4.
        meta: whatever else is known, :data:`ORIGINAL_SHAPE` among it.
    """
    return MetaTensor(
        array.contiguous(),
        meta={
            **meta,
            MetaKeys.SPATIAL_SHAPE: np.asarray(array.shape[1:]),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
            MetaKeys.ORIGINAL_AFFINE: affine,
            MetaKeys.AFFINE: torch.as_tensor(affine),
            ImageMetaKey.FILENAME_OR_OBJ: path,
        },
    )


def finite_voxels(path: str, voxels: torch.Tensor) -> torch.Tensor:
    """The voxels in float32.

    Raises:
        BadCaseError: when some are no finite numbers, or larger than :data:`MAX_VALUE`.
    """
    finite = torch.isfinite(voxels)
    if not finite.all():
        nans = int(torch.isnan(voxels).sum())
        infinite = int((~finite).sum()) - nans
        raise BadCaseError(
            f"{path}: found {nans} NaN and {infinite} infinite voxels of {voxels.numel()}; allowed: finite numbers; "
            "fix: replace them by the background's value and save the file again"
        )
    if voxels.is_floating_point() and voxels.numel():
        check_range(path, *(float(value) for value in torch.aminmax(voxels)))
    return voxels.to(torch.float32)


def check_range(path: str, low: float, high: float) -> None:
    """Refuses values with which 32-bit numbers can't be calculated; NaN and infinity pass.

    Raises:
        BadCaseError: naming the largest.
    """
    largest = max(-low, high)
    if MAX_VALUE < largest < np.inf:
        raise BadCaseError(
            f"{path}: found values as large as {largest:.3g}; allowed: up to {MAX_VALUE:g}, which 32-bit numbers can "
            "be calculated with; fix: check where they come from, and scale the image"
        )


def checked_affine(path: str, matrix: np.ndarray) -> np.ndarray:
    """A voxel-to-RAS matrix, 4 x 4 float64.

    Args:
        path: of the file, for messages.
        matrix: (n + 1, n + 1) for n = 1 to 3 spatial axes.

    Raises:
        BadCaseError: when it can't be inverted.
    """
    affine = np.eye(4)
    rank = matrix.shape[0] - 1
    if matrix.ndim == 2 and 1 <= rank <= 3 and matrix.shape[1] == rank + 1:
        affine[:rank, :rank], affine[:rank, 3] = matrix[:rank, :rank], matrix[:rank, rank]
    else:
        affine[0, 0] = np.nan
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise BadCaseError(
            f"{path}: found an affine that gives voxels no place in space: {matrix.round(6).tolist()}; allowed: three "
            "independent axes in mm; fix: repair the header's sform or qform, or export the file again"
        )
    return affine


def original_affine(volume: MetaTensor) -> np.ndarray:
    """Voxel to RAS mm of the file, 4 x 4 float64, whatever the volume was turned to since."""
    return np.asarray(volume.meta[MetaKeys.ORIGINAL_AFFINE], dtype=np.float64)


def frame_count(volume: MetaTensor) -> int:
    """Frames in the file: 1, or those of a 4D cine."""
    return int(np.asarray(volume.meta[ORIGINAL_SHAPE])[3]) if FRAMES in volume.meta else 1


def corner_shift_mm(affine: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """The largest distance in mm between the corners of two grids of one shape (H, W, D)."""
    corners = np.array([(*corner, 1) for corner in itertools.product(*((0, n - 1) for n in shape))])
    return float(np.linalg.norm((corners @ (affine - other).T)[:, :3], axis=1).max())


def is_same_grid(affine: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether two grids of one shape put their voxels in the same place, but for the rounding of headers."""
    shortest_mm = float(np.linalg.norm(other[:3, :3], axis=0).min())
    return corner_shift_mm(affine, other, shape) <= MAX_CORNER_SHIFT * shortest_mm


def check_same_grid(label: MetaTensor, image: MetaTensor) -> None:
    """Refuses a mask that doesn't lie on the grid of its image, by the headers of their files.

    Raises:
        BadCaseError: when shapes or numbers of frames differ, or the mask lies beside the image.
    """
    path, name = (volume.meta[ImageMetaKey.FILENAME_OR_OBJ] for volume in (label, image))
    shapes = [tuple(int(n) for n in np.asarray(grid.meta[MetaKeys.SPATIAL_SHAPE])) for grid in (label, image)]
    frames = frame_count(image)
    if shapes[0] != shapes[1] or len(label) != frames:
        raise BadCaseError(
            f"{path}: found labels of shape {shapes[0]} and {len(label)} frame(s); allowed: {shapes[1]} and {frames}, "
            f"those of {name}; fix: give the label that was drawn on this image"
        )
    found, wanted = original_affine(label), original_affine(image)
    if not is_same_grid(found, wanted, shapes[0]):
        raise BadCaseError(
            f"{path}: found labels that lie up to {corner_shift_mm(found, wanted, shapes[0]):.3g} mm beside {name}: "
            f"affine {found.round(3).tolist()}; allowed: {wanted.round(3).tolist()}; fix: resample the label onto the "
            "image (nearest neighbour)"
        )


def labelled_frames(classes: np.ndarray) -> list[int]:
    """The frames of a reference (frames, …) that somebody has labelled: of a cine often two, all others are empty."""
    labelled = [frame for frame, slices in enumerate(classes) if slices.any()]
    return labelled or list(range(len(classes)))


def references_by_frame(classes: np.ndarray, mask: MetaTensor) -> list[np.ndarray | None]:
    """What each frame of a mask is compared with: None, with a remark on the mask, where nobody has labelled it."""
    labelled = labelled_frames(classes)
    if len(labelled) < len(classes):
        left_out = len(classes) - len(labelled)
        add_remarks(mask, [f"reference: {left_out} of {len(classes)} frames hold no class and count as not labelled"])
    return [slices if frame in labelled else None for frame, slices in enumerate(classes)]
