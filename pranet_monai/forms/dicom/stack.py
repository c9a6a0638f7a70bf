# SPDX-License-Identifier: Apache-2.0
"""Planes put together to a volume or a cine: which lies where, which comes when, and what doesn't fit, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pranet_monai.errors import BadCaseError, some_of
from pranet_monai.forms.dicom.header import TIME_KEYS, Plane
from pranet_monai.forms.remarks import with_remarks

__all__ = ["Stack", "Steps", "build_stack", "by_place", "plane_affine"]

SAME_PLACE_MM = 0.05
"""Positions that lie closer together than this are one place; headers round differently."""

MAX_UNEVEN, NOTED_UNEVEN = 0.05, 0.01
"""Fractions of the distance of two slices by which it may differ within a series, and from which on it is remarked."""

NOTED_TILT, MAX_TILT = 0.5, 45.0
"""Degrees between the normal of slices and the way they are stacked: rounding up to the one, no volume above the other.
"""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Stack:
    """Planes in their order.

    Attributes:
        frames: for each time the planes along their normal.
        affine: voxel (column, row, slice) to RAS mm, 4 x 4; sheared where the gantry was tilted.
        remarks: what was assumed.
    """

    frames: tuple[tuple[Plane, ...], ...]
    affine: np.ndarray
    remarks: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Columns, rows, slices, and of a cine frames."""
        rows, columns = self.frames[0][0].shape
        return (columns, rows, len(self.frames[0]), *([len(self.frames)] if len(self.frames) > 1 else []))


def build_stack(name: str, planes: Sequence[Plane], pixels_of: Callable[[Plane], Hashable]) -> Stack:
    """Orders planes of one geometry.

    Args:
        name: of the case's files, for messages.
        planes: of one direction, size and spacing, with a position each, in any order.
        pixels_of: something that is equal where the pixels of two planes are; asked where planes may be there twice.

    Raises:
        BadCaseError: slices are missing, unevenly spaced, or at one place and different.
    """
    places = by_place(planes)
    remarks: list[str] = []
    places = _without_doubles(name, places, pixels_of, remarks)
    with with_remarks(remarks):
        _check_contrasts(name, places)
        key = _time_key(name, places)
        ordered = [sorted(place, key=lambda plane: (plane.times.get(key, 0.0), plane.place)) for place in places]
        if len(ordered[0]) > 1:
            remarks.append(f"{len(ordered[0])} planes at each place: read as a cine, in the order of {key}")
        affine = _affine(name, [place[0] for place in ordered], remarks)
    return Stack(tuple(zip(*ordered, strict=True)), affine, tuple(remarks))


def by_place(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Planes by the place where they lie, along their normal."""
    normal = np.cross(*np.asarray(planes[0].directions).reshape(2, 3))
    along = sorted(planes, key=lambda plane: (float(normal @ plane.position), plane.times.get("InstanceNumber", 0.0)))
    places: list[list[Plane]] = []
    for plane in along:
        if places and np.linalg.norm(_position(plane) - _position(places[-1][0])) < SAME_PLACE_MM:
            places[-1].append(plane)
        else:
            places.append([plane])
    return places


def plane_affine(plane: Plane) -> np.ndarray:
    """Pixel (column, row) of a plane that knows its place, and mm along its normal, to LPS mm, 4 x 4."""
    along_row, along_column = np.asarray(plane.directions).reshape(2, 3)
    between_rows, between_columns = plane.spacing or (1.0, 1.0)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = along_row * between_columns, along_column * between_rows
    affine[:3, 2], affine[:3, 3] = np.cross(along_row, along_column), _position(plane)
    return affine


class Steps:
    """The ways from each slice to the next.

    Args:
        slices: 2 or more, in their order.

    Attributes:
        gaps_mm: their lengths.
        length_mm: of the usual one.
        off_mm: by how much each differs from it.
        mean: (3,), mm.
        tilt: degrees between the mean and the slices' normal.
    """

    def __init__(self, slices: Sequence[Plane]) -> None:
        steps = np.diff([_position(plane) for plane in slices], axis=0)
        self.gaps_mm = np.linalg.norm(steps, axis=1)
        # the lower one of two in the middle: gaps are longer, not shorter
        usual = np.argsort(self.gaps_mm)[(len(steps) - 1) // 2]
        self.length_mm, self.off_mm = float(self.gaps_mm[usual]), np.linalg.norm(steps - steps[usual], axis=1)
        self.mean = steps.mean(axis=0)
        along = plane_affine(slices[0])[:3, 2] @ self.mean / (np.linalg.norm(self.mean) or 1.0)
        self.tilt = float(np.degrees(np.arccos(np.clip(along, -1, 1))))

    @property
    def are_even(self) -> bool:
        """Whether the slices can be one volume."""
        return float(self.off_mm.max()) <= MAX_UNEVEN * self.length_mm


def _without_doubles(
    name: str, places: list[list[Plane]], pixels_of: Callable[[Plane], Hashable], remarks: list[str]
) -> list[list[Plane]]:
    """As many planes at each place; those that are there twice are taken once."""
    counts = Counter(len(place) for place in places)
    usual = max(counts, key=lambda count: (counts[count], -count))
    if len(counts) == 1 and usual != 2 and _are_times(places[0]):
        return places
    single = [_distinct(place, pixels_of) if len(place) > usual or len(counts) == 1 else place for place in places]
    if len({len(place) for place in single}) == 1:
        dropped = sum(map(len, places)) - sum(map(len, single))
        if dropped:
            remarks.append(f"{dropped} slices are there twice, with the same pixels: each was taken once")
        return single
    if len(counts) == 1:  # two different planes at each place, or two that are alike by chance at some
        return places
    odd = next(place for place in single if len(place) != usual)
    raise BadCaseError(
        f"{name}: found {len(odd)} different planes at one place ({_files(odd)}), {usual} at most others; allowed: the "
        "same number everywhere; fix: export the whole series again, or remove what isn't part of it"
    )


def _are_times(place: list[Plane]) -> bool:
    """Whether planes at one place are told apart by more than their numbers, which copies may have anew."""
    times = {tuple((key, plane.times.get(key)) for key in TIME_KEYS if key != "InstanceNumber") for plane in place}
    return len(times) == len(place)


def _distinct(place: list[Plane], pixels_of: Callable[[Plane], Hashable]) -> list[Plane]:
    return list({pixels_of(plane): plane for plane in reversed(place)}.values())[::-1]


def _check_contrasts(name: str, places: list[list[Plane]]) -> None:
    """Refuses planes at one place that aren't times, and that aren't there everywhere."""
    for contrast in ("echo time", "b-value"):
        found = {tuple(sorted({plane.contrasts.get(contrast, "none") for plane in place})) for place in places}
        if len(found) > 1 and max(map(len, found)) > 1:
            several = " elsewhere ".join(", ".join(one) for one in sorted(found)[:2])
            raise BadCaseError(
                f"{name}: found planes at one place with {contrast} {several}; allowed: the same ones everywhere; fix: "
                "export the whole series again, or each of them as a series"
            )


def _time_key(name: str, places: list[list[Plane]]) -> str:
    """What tells apart the planes at one place, everywhere."""

    def tells(key: str) -> bool:
        if not all(len({plane.times[key] for plane in place if key in plane.times}) == len(place) for place in places):
            return False
        return key != "InstanceNumber" or _count_alike([[plane.times[key] for plane in place] for place in places])

    found = next((key for key in TIME_KEYS if tells(key)), None)
    if found is None and len(places) > 1:
        raise BadCaseError(
            f"{name}: found {len(places[0])} planes at each place ({_files(places[0][:2])}, …) and nothing that says "
            f"which of them belong together; allowed: {', '.join(TIME_KEYS)} that tell; fix: export each volume as a "
            "series, or give them as .nii.gz"
        )
    return found or "their files' names"


def _count_alike(numbers: list[list[float]]) -> bool:
    """Whether numbers that run through a whole series go on by the same steps at each place: no others are times."""
    steps = {tuple(np.diff(sorted(one))) for one in numbers}
    return len(steps) == 1


def _affine(name: str, slices: Sequence[Plane], remarks: list[str]) -> np.ndarray:
    affine = plane_affine(slices[0])
    if len(slices) == 1:
        affine[:3, 2] *= _lone_distance(slices[0], remarks)
    else:
        affine[:3, 2] = _step(name, slices, remarks)
    return _LPS_TO_RAS @ affine


def _lone_distance(plane: Plane, remarks: list[str]) -> float:
    distance = plane.distance_mm or 1.0
    source = "as its header says" if plane.distance_mm else "as nothing says how thick it is"
    remarks.append(f"one slice: counted as {distance:.4g} mm thick, {source}")
    return distance


def _step(name: str, slices: Sequence[Plane], remarks: list[str]) -> np.ndarray:
    steps = Steps(slices)
    if steps.tilt > MAX_TILT:
        raise BadCaseError(
            f"{name}: found slices that follow each other at {steps.tilt:.0f} degrees to their normal; allowed: up to "
            f"{MAX_TILT:.0f}, as of a tilted gantry; fix: export what was taken at each place as a series"
        )
    if not steps.are_even:
        raise BadCaseError(_uneven(name, slices, steps))
    worst = float(steps.off_mm.max())
    if worst > NOTED_UNEVEN * steps.length_mm:
        remarks.append(f"slices {steps.length_mm:.4g} mm apart, one of them {worst:.2g} mm off: taken as evenly spaced")
    if steps.tilt > NOTED_TILT:
        remarks.append(
            f"slices are tilted by {steps.tilt:.1f} degrees (gantry tilt): the grid is sheared, not resampled"
        )
    return steps.mean


def _uneven(name: str, slices: Sequence[Plane], steps: Steps) -> str:
    length, gaps, worst = steps.length_mm, steps.gaps_mm, int(steps.off_mm.argmax())
    missing = gaps / length - 1
    whole = np.abs(missing - missing.round()) <= MAX_UNEVEN
    between = f"between {_files([slices[worst]])} and {_files([slices[worst + 1]])}"
    if whole.all() and missing.round().sum() > 0:
        return (
            f"{name}: found {len(slices)} slices {length:.4g} mm apart and {gaps[worst]:.4g} mm {between}: "
            f"{int(missing.round().sum())} missing; allowed: equal distances; fix: export the whole series again"
        )
    return (
        f"{name}: found slices from {gaps.min():.4g} to {gaps.max():.4g} mm apart, the oddest {between}; "
        f"allowed: equal distances, but for {MAX_UNEVEN:.0%}; fix: find "
        "what is missing or doubled, or resample the series evenly"
    )


def _position(plane: Plane) -> np.ndarray:
    return np.asarray(plane.position, dtype=float)


def _files(planes: Sequence[Plane]) -> str:
    return some_of(f"{Path(plane.place).name}{f' frame {plane.frame + 1}' if plane.frame else ''}" for plane in planes)
