# SPDX-License-Identifier: Apache-2.0
"""Which way volumes are sliced, how fine the network sees a slice, and how much of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pranet_monai.geometry import ANATOMICAL_AXES, THROUGH_PLANE
from pranet_monai.planning.case_facts import CaseFacts

__all__ = ["Slicing", "choose_slicing"]

_PLANES = {world: plane for plane, world in ANATOMICAL_AXES.items()}
_PLANE = ((1, 2), (0, 2), (0, 1))  # axes of a slice that is normal to each
_VIEWS = ("axial", "coronal", "sagittal")
TILTED = 15.0  # degrees: a stack that follows an organ, not the body
MOST_STACKS = 0.95
FEW_PIXELS, ENOUGH_PIXELS = 64, 96  # across what is labelled
DIVISOR, SPARE = 32, 8  # pixels: crops are multiples of the first; so few may be cut off at a border
SEEN, SEEN_OUTSIDE, LEAST_SHIFT = 0.6, 0.3, 0.15  # of a slice's sides, of what is left beside, of the crop's
MOST_PIXELS = 1.5  # of a crop, in multiples of those across what is labelled
NEAR_MM, BESIDE_MM = 1.5, 6.0  # slices so close show much, or something, of what is in the slice between them


@dataclass(frozen=True)
class Slicing:
    """The geometry of a bundle.

    Attributes:
        axis: which way slices lie, as ``SliceVolumeInferer`` has it, or several planes.
        planes: world axes (R, A, S) of a slice's rows and columns: of most cases, or in each of several planes.
        is_tilted: whether stacks follow an organ.
        gap: mm from slice to slice.
        depth: slices of a volume.
        native: mm of a pixel in the files.
        pixdim: mm of a pixel that the network sees.
        field: mm of a slice, along rows and columns.
        reach: mm that hold all that is labelled, along them.
        crop_size: pixels.
    """

    axis: str | list[str]
    planes: tuple[tuple[int, int], ...]
    is_tilted: bool
    gap: float
    depth: int
    native: float
    pixdim: float
    field: tuple[float, float]
    reach: tuple[float, float]
    crop_size: tuple[int, ...]

    @property
    def adjacent_slices(self) -> int:
        """Neighbours that say something about the slice between them."""
        if self.depth < 3 or self.gap > BESIDE_MM:
            return 0
        return 2 if self.gap <= NEAR_MM else 1

    @property
    def shift(self) -> int:
        """Pixels by which slices are moved, so that what lies outside of the middle is seen as well."""
        outside = max(length / self.pixdim - side for length, side in zip(self.field, self.crop_size, strict=True))
        return round(max(LEAST_SHIFT * min(self.crop_size), SEEN_OUTSIDE * outside))

    def facts(self) -> dict[str, tuple[Any, str]]:
        """The facts of ``bundle.yaml``, with reasons."""
        rows, columns = (f"{length:.0f}" for length in self.reach)
        crop, beside = list(self.crop_size), self.adjacent_slices
        seen = {0: "too far apart to show the network", 1: "shown with each", 2: "shown with each, two on either side"}
        return {
            "axis": (self.axis, self._why_axis()),
            "adjacent_slices": (beside, f"slices are {self.gap:.3g} mm apart: neighbours {seen[beside]}"),
            "pixdim": ([self.pixdim] * 2, f"mm per pixel that the network sees; the files have {self.native:.3g}"),
            "crop_size": (crop, f"of the training slices: {rows} x {columns} mm around the middle hold all labels"),
            "roi_size": (crop, "of the largest slice that goes through in one pass, as in training"),
        }

    def _why_axis(self) -> str:
        if isinstance(self.axis, list):
            return "voxels are nearly cubes: each plane is trained on, and has a say"
        if self.axis == THROUGH_PLANE:
            return "as each stack was acquired: they lie differently, or follow an organ"
        if self.gap < 1.5 * self.native:
            return "voxels are nearly cubes; the usual view"
        return f"as acquired: {self.gap:.3g} mm from slice to slice, {self.native:.3g} mm from pixel to pixel"


def choose_slicing(cases: Sequence[CaseFacts], pixels: int, may_have_views: bool = False) -> Slicing:
    """The geometry that fits most cases.

    Args:
        cases: volumes.
        pixels: that the network should see across what is labelled, where the files have as many.
        may_have_views: slice volumes of nearly cubic voxels in all three planes.
    """
    stacks = Counter(case.stack_axis for case in cases if case.stack_axis is not None)
    is_cubic = stacks.total() < len(cases) / 2
    number = ANATOMICAL_AXES["axial"] if is_cubic else stacks.most_common(1)[0][0]
    is_tilted = not is_cubic and float(np.median([case.tilt for case in cases])) > TILTED
    is_mixed = not is_cubic and (is_tilted or stacks[number] < MOST_STACKS * stacks.total())
    normals = [case.stack_axis if is_mixed and case.stack_axis is not None else number for case in cases]
    axis: str | list[str] = THROUGH_PLANE if is_mixed else _PLANES[number]
    planes = [_PLANE[normal] for normal in normals]
    views: tuple[tuple[int, int], ...] = (_PLANE[number],)
    if is_cubic and may_have_views:
        axis, views = list(_VIEWS), tuple(_PLANE[ANATOMICAL_AXES[view]] for view in _VIEWS)
    sizes = [_sizes(cases, planes if len(views) == 1 else [view] * len(cases)) for view in views]
    full, reach = (np.max([size[n] for size in sizes], axis=0) for n in range(2))
    native = float(np.median([[case.spacing[n] for n in plane] for case, plane in zip(cases, planes, strict=True)]))
    pixdim = _pixdim(float(reach.max()), native, pixels)
    return Slicing(
        axis=axis,
        planes=views,
        is_tilted=is_tilted,
        gap=float(np.median([case.spacing[normal] for case, normal in zip(cases, normals, strict=True)])),
        depth=int(np.median([case.size[normal] for case, normal in zip(cases, normals, strict=True)])),
        native=native,
        pixdim=pixdim,
        field=(float(full[0]), float(full[1])),
        reach=(float(reach[0]), float(reach[1])),
        crop_size=tuple(_crop(reach[n] / pixdim, full[n] / pixdim, MOST_PIXELS * pixels) for n in range(2)),
    )


def _sizes(cases: Sequence[CaseFacts], planes: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Field of view, and what holds all labels around its middle, of nine in ten cases, (2,) in mm."""
    pairs = list(zip(cases, planes, strict=True))
    field = np.percentile([[case.size[n] * case.spacing[n] for n in plane] for case, plane in pairs], 90, axis=0)
    labelled = [[case.reach[n] for n in plane] for case, plane in pairs if case.numbers]
    return field, np.minimum(np.percentile(labelled, 90, axis=0), field)


def _pixdim(reach: float, native: float, pixels: int) -> float:
    """No finer than the files, but where what is labelled is a few pixels wide: then up to twice as fine."""
    wanted = max(reach / pixels, native)
    if reach / wanted < FEW_PIXELS:
        wanted = max(reach / ENOUGH_PIXELS, native / 2)
    return float(f"{wanted:.2g}")


def _crop(reach: float, full: float, most: float) -> int:
    """Pixels that hold all labels, and enough of what is around to tell it from them; at most a whole slice."""
    wanted = min(max(reach, SEEN * full) - SPARE, most)
    return DIVISOR * max(1, min(math.ceil(full / DIVISOR), math.ceil(wanted / DIVISOR)))
