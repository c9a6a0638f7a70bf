# SPDX-License-Identifier: Apache-2.0
"""Which cases a collection of DICOM files holds: a series each, unless it holds several volumes or one slice of a
cine.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from pranet_monai.forms.dicom.header import CONTRASTS, Header, Plane, read_headers
from pranet_monai.forms.dicom.places import EXTENSIONS, dicom_files, folder_of
from pranet_monai.forms.dicom.stack import Steps, by_place
from pranet_monai.forms.files import without_extension
from pranet_monai.forms.search import Search, SeriesNames

__all__ = ["IMAGES", "Series", "series_in", "series_of"]

IMAGES = "DICOM_anon"
"""CHAOS's name for the folder of the slices: it names no patient, so the folder's name is kept."""

SAME_DIRECTION, SAME_SPACING = 1e-3, 1e-3
"""By which direction cosines, and pixel spacings as a fraction, may differ within a volume."""

UNIT = 0.01
"""By which products of a plane's two directions may differ from those of perpendicular unit vectors: headers round."""

JOINED_TILT, JOINED_APART = 5.0, 3.0
"""Degrees off their normal, and times what their header says of it, that slices of several series lie apart at most."""

MOST_OF_SCOUT = 5
"""Planes in one direction that a localizer has at most, where its name or its several directions say that it is one."""

FEW_SLICES, FAR_APART_MM = 3, 15.0
"""Up to so many slices so far apart may be a localizer, whatever they are called: organs are seen in closer ones."""


@dataclass(frozen=True)
class Series:
    """One volume or cine.

    Attributes:
        headers: of its files.
        planes: of one direction, size and spacing.
        part: which volume of its series, from 1; 0 where the series holds no other.
        remarks: what was assumed.
        error: why it can't be a case.
        is_scout: a few planes that help to plan the others.
    """

    headers: tuple[Header, ...]
    planes: tuple[Plane, ...] = ()
    part: int = 0
    remarks: tuple[str, ...] = ()
    error: str = ""
    is_scout: bool = False

    @property
    def files(self) -> list[str]:
        """Its files, sorted."""
        return sorted({header.place for header in self.headers})

    @property
    def uids(self) -> set[str]:
        """Of the series that it is made of."""
        return {header.series for header in self.headers}

    def name(self, root: Path, names: SeriesNames) -> str:
        """Name of the case.

        Args:
            root: the folder that was given.
            names: in which way.
        """
        first = self.headers[0]
        number = "" if first.series_number is None else f"_{first.series_number:03d}"
        series = f"series{number}_{_digest(first.series, 6)}"
        folder = Path(folder_of(first.place))
        if not first.series:  # a file that can't be read
            named = _below(Path(first.place), root)
        elif names == "folder" or not first.has_uids or folder.name == IMAGES:
            named = _below(folder.parent if folder.name == IMAGES else folder, root)
        else:
            patient = first.patient.replace("/", "_").strip(". ") if names == "patient" else ""
            named = "/".join([*([patient] if patient else []), f"study_{_digest(first.study, 8)}", series])
        return f"{named}_volume{self.part}" if self.part else named


def series_in(search: Search) -> list[Series]:
    """What :func:`series_of` makes of all that lies below a folder."""
    return search.once(_series_in)


def _series_in(search: Search) -> list[Series]:
    return series_of(read_headers(dicom_files(search.files)))


def series_of(headers: Iterable[Header]) -> list[Series]:
    """Puts headers of images together.

    Args:
        headers: of any files; what is no image doesn't count.

    Returns:
        In order of study, number and UID. Files that can't be used are an entry with ``error`` each, by series where it
        is known.
    """
    groups: dict[tuple[str, str], list[Header]] = defaultdict(list)
    for header in headers:
        if not header.other:
            groups[(header.study, header.series) if header.series else ("", header.place)].append(header)
    found = [series for group in groups.values() for series in _of_one_series(group)]
    if len(found) == 1 and found[0].is_scout:
        found = _of_one_series(list(found[0].headers), is_alone=True)
    found = _joined_cines(found)
    return sorted(found, key=lambda one: (one.headers[0].study, _number(one), one.headers[0].series, one.part))


def _of_one_series(group: list[Header], is_alone: bool = False) -> list[Series]:
    """The volumes of a series; a name makes it a scout only if it isn't alone."""
    bad, good = [header for header in group if header.error], [header for header in group if not header.error]
    if not good:
        more = f" (and {len(bad) - 1} more files of its series)" if len(bad) > 1 else ""
        return [Series(tuple(bad), error=bad[0].error + more)]
    remarks = [f"{len(bad)} of its files can't be used, such as {bad[0].error}"] if bad else []
    good = _each_once(good, remarks)
    planes = [plane for header in good for plane in header.planes]
    lost = next((plane for plane in planes if _without_place(plane)), None)
    if lost is not None:
        error = (
            f"{lost.place}: found no {_without_place(lost)} that says where its pixels lie; fix: export the original "
            "series, or give the volume as .nii.gz"
        )
        return [Series(tuple(good), error=error)]
    return _volumes(good, planes, remarks, is_alone)


def _each_once(headers: list[Header], remarks: list[str]) -> list[Header]:
    """Without copies; what lies elsewhere or was taken at another time is none, even where it has another's UID."""
    found: dict[tuple[object, ...], Header] = {}
    for header in sorted(headers, key=lambda one: one.place, reverse=True):
        plane = header.planes[0]
        found[(plane.uid, plane.position, *sorted(plane.times.items()), *sorted(plane.contrasts.items()))] = header
    uids = {header.planes[0].uid for header in found.values()}
    if len(found) < len(headers):
        doubled = len(headers) - len(found)
        remarks.append(f"{doubled} files are copies of others (the same SOP instance): each was taken once")
    if len(uids) < len(found):
        remarks.append(f"{len(found)} files share {len(uids)} SOP instance UIDs, though they differ: all were taken")
    return sorted(found.values(), key=lambda one: one.place)


def _without_place(plane: Plane) -> str:
    """What lacks to know where a plane lies; empty where nothing does."""
    if plane.position is None:
        return "ImagePositionPatient"
    directions = np.asarray(plane.directions or np.zeros(6)).reshape(2, 3)
    if np.abs(directions @ directions.T - np.eye(2)).max() > UNIT:  # else lengths, and so volumes, would be wrong
        return "ImageOrientationPatient of two perpendicular unit vectors"
    return "PixelSpacing" if plane.spacing is None or min(plane.spacing) <= 0 else ""


def _normal(plane: Plane) -> np.ndarray:
    return np.cross(*np.asarray(plane.directions).reshape(2, 3))


def _volumes(headers: list[Header], planes: list[Plane], remarks: list[str], is_alone: bool) -> list[Series]:
    """The volumes of a series; single planes of other directions beside them are scouts."""
    geometries: list[list[Plane]] = []
    for plane in planes:
        fitting = (one for one in geometries if _same_geometry(one[0], plane))
        found = next(fitting, None)
        if found is None:
            geometries.append([plane])
        else:
            found.append(plane)
    if _lie_across(geometries) or (not is_alone and _are_called_scouts(headers, geometries)):
        return [Series(tuple(headers), tuple(planes), is_scout=True)]
    if _are_called_scouts(headers, geometries):
        remarks = [*remarks, "called as localizers are, but the only series: taken for a volume"]
    kept = [one for one in geometries if len(one) > 1] or geometries
    if len(geometries) > len(kept):
        left = len(planes) - sum(map(len, kept))
        remarks = [*remarks, f"{left} planes of other directions, sizes or spacings left out (scouts)"]
    if len(kept) > 1:
        remarks = [*remarks, f"one of {len(kept)} volumes of different directions, sizes or spacings in its series"]
    parts = [part for one in kept for part in _by_contrast(one, remarks)]
    return [
        Series(_headers_of(headers, one), tuple(one), number if len(parts) > 1 else 0, (*told, *_maybe_a_scout(one)))
        for number, (one, told) in enumerate(parts, start=1)
    ]


def _lie_across(geometries: list[list[Plane]]) -> bool:
    """Whether they are a plane or a few in each of several directions."""
    most = max(map(len, geometries))
    if len(geometries) > 1 and most == 1:
        return True
    normals = [_normal(one[0]) for one in geometries]
    return most <= MOST_OF_SCOUT and any(abs(float(normals[0] @ normal)) < np.cos(np.radians(45)) for normal in normals)


def _are_called_scouts(headers: list[Header], geometries: list[list[Plane]]) -> bool:
    return max(map(len, geometries)) <= MOST_OF_SCOUT and any(header.is_called_scout for header in headers)


def _maybe_a_scout(planes: list[Plane]) -> list[str]:
    """A remark on two or three slices far apart."""
    positions = [plane.position for plane in planes if plane.position is not None]
    apart = math.dist(positions[0], positions[1]) if 2 <= len(planes) <= FEW_SLICES else 0.0
    if apart < FAR_APART_MM:
        return []
    return [f"{len(planes)} slices {apart:.3g} mm apart: it may be a localizer"]


def _by_contrast(planes: list[Plane], remarks: list[str]) -> list[tuple[list[Plane], list[str]]]:
    """Echoes, b-values, magnitude and phase at the same places are volumes of their own, each with a remark."""
    places = by_place(planes)
    for name in CONTRASTS if len(planes) > len(places) else ():
        values = sorted({plane.contrasts.get(name, "") for plane in planes}, key=lambda value: (len(value), value))
        everywhere = all({plane.contrasts.get(name, "") for plane in place} == set(values) for place in places)
        if len(values) > 1 and everywhere:
            found: list[tuple[list[Plane], list[str]]] = []
            for value in values:
                told = f"one of {len(values)} volumes at the same places: {name} {value or 'unknown'}"
                part = [plane for plane in planes if plane.contrasts.get(name, "") == value]
                found += _by_contrast(part, [*remarks, told])
            return found
    return [(planes, remarks)]


def _same_geometry(one: Plane, other: Plane) -> bool:
    if one.shape != other.shape:
        return False
    if one.directions == other.directions and one.spacing == other.spacing:  # most are, and this is quick
        return True
    directions = np.allclose(one.directions or (), other.directions or (), atol=SAME_DIRECTION)
    return directions and np.allclose(one.spacing or (), other.spacing or (), rtol=SAME_SPACING)


def _headers_of(headers: list[Header], planes: Sequence[Plane]) -> tuple[Header, ...]:
    places = {plane.place for plane in planes}
    return tuple(header for header in headers if header.place in places)


def _joined_cines(found: list[Series]) -> list[Series]:
    """A cine that was exported as one series per slice is one case."""
    candidates: list[list[Series]] = []
    for series in (one for one in found if _is_one_slice_of_a_cine(one)):
        mates = (group for group in candidates if _may_be_one_cine(group[0], series))
        group = next(mates, None)
        if group is None:
            candidates.append([series])
        else:
            group.append(series)
    joined = [group for group in candidates if len(group) > 1 and _lie_evenly(group)]
    apart = [one for one in found if not any(one is member for group in joined for member in group)]
    return apart + [_as_one(sorted(group, key=lambda one: (_number(one), one.headers[0].series))) for group in joined]


def _is_one_slice_of_a_cine(series: Series) -> bool:
    return not series.error and not series.part and len(series.planes) > 1 and len(by_place(series.planes)) == 1


def _may_be_one_cine(one: Series, other: Series) -> bool:
    facts = [
        (s.headers[0].study, s.headers[0].modality, s.headers[0].reference_frame, len(s.planes)) for s in (one, other)
    ]
    return facts[0] == facts[1] and _same_geometry(one.planes[0], other.planes[0])


def _lie_evenly(group: list[Series]) -> bool:
    places = by_place([series.planes[0] for series in group])
    if len(places) != len(group):
        return False
    steps, stated = Steps([place[0] for place in places]), group[0].planes[0].distance_mm or 0.0
    is_near = steps.length_mm <= max(FAR_APART_MM, JOINED_APART * stated)
    return is_near and steps.tilt <= JOINED_TILT and steps.are_even


def _as_one(group: list[Series]) -> Series:
    numbers = ", ".join(str(one.headers[0].series_number) for one in group)
    remark = f"{len(group)} series of one slice each (numbers {numbers}) were put together as one cine"
    return replace(
        group[0],
        headers=tuple(header for one in group for header in one.headers),
        planes=tuple(plane for one in group for plane in one.planes),
        remarks=tuple(dict.fromkeys([remark, *(remark for one in group for remark in one.remarks)])),
    )


def _number(series: Series) -> int:
    number = series.headers[0].series_number
    return -1 if number is None else number


def _digest(uid: str, length: int) -> str:
    return sha256(uid.encode()).hexdigest()[:length]


def _below(path: Path, root: Path) -> str:
    """A folder's, a zip's or a file's name below the folder that was given."""
    below = path.relative_to(root) if path.is_relative_to(root) else Path()
    if not below.parts:
        return path.name or root.name
    return (below.parent / without_extension(below, (*EXTENSIONS, ".zip"))).as_posix()
