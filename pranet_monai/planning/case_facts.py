# SPDX-License-Identifier: Apache-2.0
"""One labelled case read once: its size, spacing, intensities and label numbers, or the sentence that refuses it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from monai.data import MetaTensor
from nibabel.affines import voxel_sizes
from pranet_monai.data.labels import MAX_CLASSES
from pranet_monai.errors import BadCaseError
from pranet_monai.forms import form_of
from pranet_monai.forms.base import CLASSES
from pranet_monai.forms.rgb_image import read_rgb
from pranet_monai.geometry import STACK_RATIO, THROUGH_PLANE, plane_axis
from pranet_monai.transforms.orientation import OrientVolume

__all__ = ["CaseFacts", "look_through"]

_SAMPLED = 4000  # voxels of a case's organs whose values are kept
_SOFT = 0.05  # share of a mask's pixels that may be neither dark nor bright, as JPEG leaves them around edges
_STRAY = 0.001  # share of a mask's bright pixels that may be of another colour
_DARK, _BRIGHT = 25, 230


class CaseFacts(NamedTuple):
    """What is kept of a case.

    Attributes:
        item: as ``find_cases`` lists it.
        digest: of the image's voxels.
        size: voxels along R, A and S; of an image height, width and 1.
        spacing: mm along them.
        stack_axis: of them, along which the volume was acquired slice by slice; None where nothing tells.
        tilt: degrees by which the axes are turned against R, A and S, at most 45.
        numbers: label number → voxels; 0 left out.
        reach: mm along each axis that a box around the middle must have to hold all that is labelled.
        low: least value of the image.
        high: greatest value.
        organ_values: some of the values under the label.
    """

    item: Mapping[str, Any]
    digest: str
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    stack_axis: int | None
    tilt: float
    numbers: dict[int, int]
    reach: tuple[float, ...]
    low: float
    high: float
    organ_values: np.ndarray


def look_through(item: Mapping[str, Any], names: Mapping[int, str] | None = None) -> CaseFacts:
    """Reads one case.

    Args:
        item: as ``find_cases`` lists it, with ``label``.
        names: number → class, for labels that name their classes.

    Raises:
        BadCaseError: an image or label that can't be read, doesn't fit the other, or is no label.
    """
    form = form_of(item)
    if form.kind == "image":
        _check_binary(item)
    image, mask = form.read_image(item), form.read_mask({**item, CLASSES: names or {}})
    form.check_same_grid(mask, image)
    digest = hashlib.sha256(image.numpy(force=True).tobytes()).hexdigest()
    if form.kind == "image":
        values, label = image.numpy(force=True).mean(axis=0)[None, ..., None], mask.numpy(force=True)[..., None]
        grid = _Grid(values.shape[1:], (1.0, 1.0, 1.0), None, 0.0)
    else:
        grid = _Grid.of(image)
        values, label = (OrientVolume("RAS")(one).numpy(force=True) for one in (image, mask))
    numbers = _numbers(label, str(item["label"]))
    under = values[: len(label)][label > 0]
    return CaseFacts(
        item, digest, *grid, numbers, _reach(label, grid.spacing), float(values.min()), float(values.max()),
        under[:: max(1, len(under) // _SAMPLED)],
    )  # fmt: skip


class _Grid(NamedTuple):
    """See :class:`CaseFacts`."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    stack_axis: int | None
    tilt: float

    @classmethod
    def of(cls, image: MetaTensor) -> _Grid:
        turned: Any = OrientVolume("RAS")(image)
        affine, size = np.asarray(turned.affine), tuple(turned.shape[1:])
        spacing = tuple(float(edge) for edge in voxel_sizes(affine))
        return cls(size, spacing, _stack_axis(size, spacing, affine), _tilt(affine))


def _tilt(affine: np.ndarray) -> float:
    """Degrees between the axes of a grid and those of space that are closest."""
    edges = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.degrees(np.arccos(np.clip(np.abs(edges).max(axis=0).min(), 0, 1))))


def _stack_axis(size: Sequence[int], spacing: Sequence[float], affine: np.ndarray) -> int | None:
    *_, middle, coarsest = sorted(spacing)
    return plane_axis(size, affine, THROUGH_PLANE) if 1 in size or coarsest >= STACK_RATIO * middle else None


def _numbers(label: np.ndarray, source: str) -> dict[int, int]:
    whole = np.round(label).astype(np.int64)
    if (off := label != whole).any():
        raise BadCaseError(
            f"{source}: found label values that are not whole numbers, such as {float(label[off].flat[0]):.3g} "
            f"({int(off.sum())} voxels); allowed: 0 for background and a whole number for each class; fix: a map of "
            "probabilities must be thresholded, a label resampled with nearest neighbour"
        )
    values, counts = np.unique(whole, return_counts=True)
    if len(values) > MAX_CLASSES:
        raise BadCaseError(
            f"{source}: found {len(values)} different label numbers; allowed: {MAX_CLASSES - 1} classes; fix: an image "
            "in the place of a label, or a number for each single object: give each class a number"
        )
    if values[0] < 0:
        raise BadCaseError(f"{source}: found the label number {values[0]}; allowed: 0 and above; fix: renumber")
    return {int(value): int(count) for value, count in zip(values, counts, strict=True) if value}


def _check_binary(item: Mapping[str, Any]) -> None:
    """Refuses masks of several classes, which the form of RGB images would read as one."""
    pixels = read_rgb(item["label"])
    brightness = pixels.max(axis=2)
    between = (brightness > _DARK) & (brightness < _BRIGHT)
    is_soft = brightness.max() > 1 and between.sum() > _SOFT * max(1, int((brightness > _DARK).sum()))
    is_numbered = 1 < brightness.max() <= _DARK and not str(item["label"]).lower().endswith((".jpg", ".jpeg"))
    found, many = "", len(np.unique(brightness))
    if is_soft or is_numbered:
        found = f"the brightnesses {np.unique(brightness)[:4].tolist()}{' …' if many > 4 else ''}"
    elif len(colours := _colours(pixels[brightness >= _BRIGHT])) > 1:
        found = f"the colours {', '.join(str(colour) for colour in colours[:3])}"
    if found:
        raise BadCaseError(
            f"{item['label']}: found {found} in a mask; allowed: dark for background and bright for the one class that "
            "RGB images have here; fix: a mask of one class"
        )


def _colours(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """Those of bright pixels (N, 3), each channel either dark or bright, without what JPEG leaves around edges."""
    colours, counts = np.unique(np.where(pixels > 127, 255, 0), axis=0, return_counts=True)
    return [tuple(colour) for colour in colours[counts > _STRAY * len(pixels)][::-1].tolist()]


def _reach(label: np.ndarray, spacing: Sequence[float]) -> tuple[float, ...]:
    """0 everywhere where nothing is labelled."""
    occupied = np.asarray((label > 0).any(axis=0))
    reach = []
    for axis, edge in enumerate(spacing):
        places = np.flatnonzero(np.moveaxis(occupied, axis, 0).reshape(occupied.shape[axis], -1).any(axis=1))
        middle = (occupied.shape[axis] - 1) / 2
        reach.append(2 * edge * float(max(places[-1] - middle, middle - places[0]) + 0.5) if len(places) else 0.0)
    return tuple(reach)
