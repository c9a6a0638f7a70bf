# SPDX-License-Identifier: Apache-2.0
"""Which cases a heap of DICOM files holds: a series each, unless it holds several volumes or one slice of a cine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from pranet_monai.forms.dicom.header import Header, Plane
from pranet_monai.forms.dicom.places import EXTENSIONS, folder_of
from pranet_monai.forms.dicom.stack import MAX_UNEVEN, SAME_PLACE_MM, by_place, even_step
from pranet_monai.forms.files import without_extension
from pranet_monai.forms.search import SeriesNames

__all__ = ["IMAGES", "Series", "series_of"]

IMAGES = "DICOM_anon"
"""CHAOS's name for the folder of the slices: it tells that nobody is named there, so the folder's name is kept."""

SAME_DIRECTION, SAME_SPACING = 1e-3, 1e-3
"""By which direction cosines, and pixel spacings as a fraction, may differ within a volume."""


@dataclass(frozen=True)
class Series:
    """One volume or cine.

    Attributes:
        headers: of its files.
        planes: of one direction, size and spacing.
        part: which volume of its series, from 1; 0 where the series holds no other.
        remarks: what was assumed.
        error: why it can't be a case.
        is_scout: single planes in several directions, which help to plan the others.
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
            patient = [first.patient.replace("/", "_").strip(". ")] if names == "patient" and first.patient else []
            named = "/".join([*patient, f"study_{_digest(first.study, 8)}", series])
        return f"{named}_volume{self.part}" if self.part else named


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
    found = _joined_cines(found)
    return sorted(found, key=lambda one: (one.headers[0].study, _number(one), one.headers[0].series, one.part))


def _of_one_series(group: list[Header]) -> list[Series]:
    bad, good = [header for header in group if header.error], [header for header in group if not header.error]
    if not good:
        more = f" (and {len(bad) - 1} more files of its series)" if len(bad) > 1 else ""
        return [Series(tuple(bad), error=bad[0].error + more)]
    remarks = [f"{len(bad)} of its files can't be used, such as {bad[0].error}"] if bad else []
    good, doubled = _each_once(good)
    if doubled:
        remarks.append(f"{doubled} files are copies of others (the same SOP instance): each was taken once")
    planes = [plane for header in good for plane in header.planes]
    lost = next((plane for plane in planes if not _has_place(plane)), None)
    if lost is not None:
        error = (
            f"{lost.place}: found no ImagePositionPatient, ImageOrientationPatient or PixelSpacing that says where its "
            "pixels lie; fix: export the original series, or give the volume as .nii.gz"
        )
        return [Series(tuple(good), error=error)]
    return _volumes(good, planes, remarks)


def _each_once(headers: list[Header]) -> tuple[list[Header], int]:
    by_uid = {header.planes[0].uid: header for header in sorted(headers, key=lambda one: one.place, reverse=True)}
    kept = sorted(by_uid.values(), key=lambda one: one.place)
    return kept, len(headers) - len(kept)


def _has_place(plane: Plane) -> bool:
    if plane.position is None or plane.directions is None or plane.spacing is None:
        return False
    normal = np.cross(*np.asarray(plane.directions).reshape(2, 3))
    return min(plane.spacing) > 0 and float(np.linalg.norm(normal)) > 0


def _volumes(headers: list[Header], planes: list[Plane], remarks: list[str]) -> list[Series]:
    """The volumes of a series; single planes of other directions beside them are scouts."""
    geometries: list[list[Plane]] = []
    for plane in planes:
        fitting = (one for one in geometries if _same_geometry(one[0], plane))
        found = next(fitting, None)
        if found is None:
            geometries.append([plane])
        else:
            found.append(plane)
    several = [one for one in geometries if len(by_place(one)) > 1] or [one for one in geometries if len(one) > 1]
    if len(geometries) > 1 and not several:
        return [Series(tuple(headers), tuple(planes), is_scout=True)]
    kept = several or geometries
    if len(geometries) > len(kept):
        remarks = [
            *remarks,
            f"{len(geometries) - len(kept)} planes of other directions, sizes or spacings left out (scouts)",
        ]
    if len(kept) > 1:
        remarks = [*remarks, f"one of {len(kept)} volumes of different directions, sizes or spacings in its series"]
    return [
        Series(_headers_of(headers, one), tuple(one), number if len(kept) > 1 else 0, tuple(remarks))
        for number, one in enumerate(kept, start=1)
    ]


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
    step, off = even_step(np.asarray([place[0].position for place in places]))
    length = float(np.linalg.norm(step))
    return length > SAME_PLACE_MM and float(off.max()) <= MAX_UNEVEN * length


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
