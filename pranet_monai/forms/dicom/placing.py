# SPDX-License-Identifier: Apache-2.0
"""Where the pictures of a segmentation object lie in its series, turned as its planes are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import nibabel as nib
import numpy as np
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.dicom.header import Plane, planes_of, sources_of
from pranet_monai.forms.dicom.pixels import pictures_of
from pranet_monai.forms.dicom.stack import Stack, plane_affine
from pranet_monai.geometry import turn_between

__all__ = ["pictures_on"]

MAX_OFF = 0.25
"""Of a pixel, by which a picture may lie beside the plane that it was drawn on; headers round differently."""

Slot = tuple[int, int]
"""A plane of a stack: its time and its slice."""


def pictures_on(stack: Stack, place: str, dataset: Any) -> Iterator[tuple[Slot, Any, np.ndarray]]:
    """The pictures of a segmentation object on the planes of its series, one at a time.

    Args:
        stack: of the series.
        place: the object's file.
        dataset: the object.

    Returns:
        Of each the plane where it lies, its functional groups, and its pixels (columns, rows) in the plane's order.

    Raises:
        BadCaseError: the pictures are of another size, or one lies on no plane.
    """
    shape, wanted = (int(dataset.Rows), int(dataset.Columns)), stack.frames[0][0].shape
    if shape != wanted:
        raise BadCaseError(f"{place}: found pictures of {shape} pixels; allowed: {wanted}, the series'")
    named, groups = _slots_by_name(stack), dataset.PerFrameFunctionalGroupsSequence
    pictures = zip(groups, planes_of(place, dataset, len(groups)), pictures_of(place, dataset), strict=True)
    for group, drawn, picture in pictures:
        slot = _slot_of(group, drawn, named, stack)
        pixels = None if slot is None else _turned(picture, drawn, _plane(stack, slot))
        if slot is None or pixels is None:
            where = "at an unknown place" if drawn.position is None else f"at {np.round(drawn.position, 2).tolist()} mm"
            raise BadCaseError(
                f"{place}: found a picture {where} that lies on no plane of the series, pixel by pixel; allowed: the "
                "planes of the series that it was drawn on; fix: resample it onto them"
            )
        yield slot, group, pixels


def _slots_by_name(stack: Stack) -> dict[tuple[str, int], Slot]:
    """The planes by instance and frame, but for those that share a name: these are told by their places alone."""
    slots = [
        ((plane.uid, plane.frame), (time, index))
        for time, planes in enumerate(stack.frames)
        for index, plane in enumerate(planes)
    ]
    count = Counter(name for name, _ in slots)
    return {name: slot for name, slot in slots if count[name] == 1}


def _slot_of(group: Any, drawn: Plane, named: dict[tuple[str, int], Slot], stack: Stack) -> Slot | None:
    """The nearest of the planes that a picture names; where it names none, of all of a volume."""
    found = [named[name] for name in _names(group) if name in named]
    if not found and drawn.position is not None and len(stack.frames) == 1:
        found = [(0, index) for index in range(len(stack.frames[0]))]
    away = [_distance(drawn, _plane(stack, slot)) for slot in found]
    return found[int(np.argmin(away))] if found else None


def _names(group: Any) -> Iterator[tuple[str, int]]:
    for source in sources_of(group):
        frames = source.get("ReferencedFrameNumber", 1)
        yield str(source.ReferencedSOPInstanceUID), int(frames if isinstance(frames, (int, str)) else frames[0]) - 1


def _plane(stack: Stack, slot: Slot) -> Plane:
    return stack.frames[slot[0]][slot[1]]


def _distance(drawn: Plane, plane: Plane) -> float:
    """Between the middles of two pictures, which stay where they are however the pixels are ordered."""
    rows, columns = plane.shape
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2, 0, 1])
    return float(np.linalg.norm((_affine(drawn, plane) - plane_affine(plane)) @ middle))


def _affine(drawn: Plane, plane: Plane) -> np.ndarray:
    """Of a picture; what it doesn't say, which the standard allows where it names its source, is as of that plane."""
    return plane_affine(
        replace(
            drawn,
            position=drawn.position or plane.position,
            directions=drawn.directions or plane.directions,
            spacing=drawn.spacing or plane.spacing,
        )
    )


def _turned(picture: np.ndarray, drawn: Plane, plane: Plane) -> np.ndarray | None:
    """A picture's pixels (columns, rows) in the order of a plane's; None where they don't lie on these."""
    found, wanted = _affine(drawn, plane), plane_affine(plane)
    turn = turn_between(found, wanted)
    pixels = nib.orientations.apply_orientation(picture.T[..., None], turn)[..., 0]
    turned = found @ nib.orientations.inv_ornt_aff(turn, (*picture.T.shape, 1))
    columns, rows = pixels.shape
    corners = np.array([[0, 0, 0, 1], [columns - 1, 0, 0, 1], [0, rows - 1, 0, 1]]).T
    off = np.linalg.norm((turned - wanted) @ corners, axis=0)
    return pixels if off.max() <= MAX_OFF * min(plane.spacing or (1.0,)) else None
