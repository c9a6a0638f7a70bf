# SPDX-License-Identifier: Apache-2.0
"""What a DICOM file says of itself, without its pixels: what it is, of which series, and where its planes lie."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from monai.utils import optional_import
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.dicom.places import folder_of, open_file, size_and_time

__all__ = ["TIME_KEYS", "Header", "Plane", "library", "read_headers"]

TIME_KEYS = (
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "EffectiveEchoTime",
    "EchoTime",
    "DiffusionBValue",
    "InstanceNumber",
)
"""What tells apart the planes at one place, the first that does so everywhere; in the order in which they are asked."""

_VOLUMES = {  # the SOP classes whose planes have a place in the patient, below 1.2.840.10008.5.1.4.1.1
    *("2", "2.1", "2.2", "4", "4.1", "4.4", "128", "128.1", "130", "13.1.1", "13.1.3", "6.3")
}
_ROOT = "1.2.840.10008.5.1.4.1.1."
_SEGMENTATIONS = {_ROOT + "66.4", _ROOT + "66.7"}
_TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality"),
    *("PatientID", "ImageType", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID"),
    *("SpacingBetweenSlices", "SliceThickness", "TriggerTime", "TemporalPositionIndex", "TemporalPositionIdentifier"),
    *("AcquisitionNumber", "EchoTime", "DiffusionBValue", "InstanceNumber", "NominalCardiacTriggerDelayTime"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ReferencedSeriesSequence"),
]


@dataclass(frozen=True)
class Plane:
    """One picture of a series: a file, or a frame of a file.

    Attributes:
        place: the file.
        frame: which picture of the file, from 0.
        uid: of the SOP instance.
        position: of the first pixel's centre, mm, LPS; None where the file doesn't say.
        directions: unit vectors along a row and along a column, LPS, six numbers.
        spacing: mm between rows, and between columns.
        shape: rows, columns.
        times: of :data:`TIME_KEYS` those that it has.
        distance_mm: to the next slice as the file says, used where there is no other slice.
    """

    place: str
    frame: int
    uid: str
    position: tuple[float, ...] | None
    directions: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    shape: tuple[int, int]
    times: Mapping[str, float] = field(default_factory=dict)
    distance_mm: float | None = None


@dataclass(frozen=True)
class Header:
    """A file.

    Attributes:
        place: the file.
        other: what it is if not an image of a volume, such as "localizer"; empty for an image.
        study: its UID; of a file without one its folder.
        series: its UID; of a file without one its folder.
        series_number: None where the file has none.
        patient: the patient's ID.
        modality: "CT", "MR", …
        reference_frame: UID of the frame of reference; empty where there is none.
        has_uids: whether study and series are stated.
        planes: its pictures.
        segments: of a segmentation the UIDs of the series that it was drawn on.
        error: why it can't be used.
    """

    place: str
    other: str = ""
    study: str = ""
    series: str = ""
    series_number: int | None = None
    patient: str = ""
    modality: str = ""
    reference_frame: str = ""
    has_uids: bool = True
    planes: tuple[Plane, ...] = ()
    segments: tuple[str, ...] = ()
    error: str = ""


_KNOWN: dict[str, tuple[tuple[int, int], Header]] = {}
"""What this process has read: a run looks at its folder several times."""


def library(name: str = "pydicom") -> Any:
    """pydicom, highdicom or a module of theirs.

    Raises:
        BadCaseError: it isn't installed; says how to.
    """
    module, is_there = optional_import(name)
    if not is_there:
        raise BadCaseError(
            f"DICOM: found no {name.partition('.')[0]}; fix: pip install 'pranet-monai[dicom]', or convert to .nii.gz"
        )
    return module


def read_headers(places: Iterable[str]) -> list[Header]:
    """The headers of files, each read once as long as it doesn't change."""
    found = []
    for place in places:
        try:
            stamp = size_and_time(place)
        except OSError as error:
            found.append(Header(place, error=f"{place}: found a file that can't be opened ({error.strerror})"))
            continue
        known = _KNOWN.get(place)
        if known is None or known[0] != stamp:
            known = _KNOWN[place] = (stamp, _read(place))
        found.append(known[1])
    return found


def _read(place: str) -> Header:
    try:
        pydicom = library()
    except BadCaseError as error:  # told once for each folder, not for each file
        return Header(place, study=folder_of(place), series=folder_of(place), has_uids=False, error=str(error))
    try:
        with warnings.catch_warnings(), open_file(place) as file:
            warnings.simplefilter("ignore")  # values that break a rule of the standard are the rule
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=True)
            return _header(place, {element.keyword: element.value for element in dataset})
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one file is told of that file
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return Header(place, error=f"{place}: found a file that can't be read as DICOM ({what}); fix: copy it again")


def _header(place: str, values: Mapping[str, Any]) -> Header:
    if "SOPClassUID" not in values and "Rows" not in values:
        return Header(place, error=f"{place}: found a file that can't be read as DICOM; fix: copy it again")
    folder, has_uids = folder_of(place), bool(values.get("StudyInstanceUID") and values.get("SeriesInstanceUID"))
    number = values.get("SeriesNumber")
    facts: dict[str, Any] = {
        "study": str(values.get("StudyInstanceUID") or folder),
        "series": str(values.get("SeriesInstanceUID") or folder),
        "series_number": None if number in (None, "") else int(number),
        "patient": str(values.get("PatientID") or ""),
        "modality": str(values.get("Modality") or ""),
        "reference_frame": str(values.get("FrameOfReferenceUID") or ""),
        "has_uids": has_uids,
    }
    other = _other_than_image(values)
    if other:
        return Header(place, other, **facts, segments=tuple(_referenced_series(values)))
    if not all(values.get(name) for name in ("Rows", "Columns", "BitsAllocated")):
        missing = f"{place}: found no pixel data; allowed: an image with its pixels; fix: export the series again"
        return Header(place, **facts, error=missing)
    frames = int(values.get("NumberOfFrames", 1) or 1)
    if frames > max(1, len(values.get("PerFrameFunctionalGroupsSequence", None) or [])):
        several = f"{place}: found {frames} pictures in one file without a place for each; fix: export it as enhanced "
        return Header(place, **facts, error=f"{several}multi-frame, or as one file per picture")
    return Header(place, **facts, planes=tuple(_planes(place, values, frames)))


def _other_than_image(values: Mapping[str, Any]) -> str:
    """What a file is, where it is no image of a volume; empty where it is one."""
    sop_class = str(values.get("SOPClassUID", ""))
    if sop_class in _SEGMENTATIONS:
        return "segmentation"
    if sop_class.startswith(_ROOT) and sop_class.removeprefix(_ROOT) not in _VOLUMES:
        name = getattr(values["SOPClassUID"], "name", sop_class)
        return str(name).removesuffix(" Storage")
    if "LOCALIZER" in str(values.get("ImageType", "")).upper():
        return "localizer"
    return "colour picture" if int(values.get("SamplesPerPixel", 1) or 1) != 1 else ""


def _referenced_series(values: Mapping[str, Any]) -> Iterator[str]:
    for series in values.get("ReferencedSeriesSequence", None) or []:
        yield str(series.get("SeriesInstanceUID", ""))


def _planes(place: str, values: Mapping[str, Any], frames: int) -> Iterator[Plane]:
    per_frame = values.get("PerFrameFunctionalGroupsSequence", None) or []
    shared = (values.get("SharedFunctionalGroupsSequence", None) or [None])[0]
    for frame in range(frames):
        groups = [
            group for group in (per_frame[frame] if frame < len(per_frame) else None, shared) if group is not None
        ]
        yield Plane(
            place,
            frame,
            str(values.get("SOPInstanceUID", place)),
            _numbers(_from("PlanePositionSequence", "ImagePositionPatient", groups, values), 3),
            _numbers(_from("PlaneOrientationSequence", "ImageOrientationPatient", groups, values), 6),
            _numbers(_from("PixelMeasuresSequence", "PixelSpacing", groups, values), 2),
            (int(values["Rows"]), int(values["Columns"])),
            dict(_times(groups, values, frame)),
            _distance(groups, values),
        )


_SEQUENCE_OF_TIME = {
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "DiffusionBValue": "MRDiffusionSequence",
}


def _times(groups: list[Any], values: Mapping[str, Any], frame: int) -> Iterator[tuple[str, float]]:
    for key in TIME_KEYS:
        number = _numbers(_from(_SEQUENCE_OF_TIME.get(key, ""), key, groups, values), 1)
        if key == "InstanceNumber":
            yield key, (number[0] if number else 0.0) * 1e6 + frame
        elif number:
            yield key, number[0]


def _distance(groups: list[Any], values: Mapping[str, Any]) -> float | None:
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        number = _numbers(_from("PixelMeasuresSequence", name, groups, values), 1)
        if number and number[0]:
            return abs(number[0])
    return None


def _from(sequence: str, name: str, groups: list[Any], values: Mapping[str, Any]) -> Any:
    """A value of a frame's groups, of those that all frames share, or of the file."""
    for group in groups:
        items = group.get(sequence, None) if sequence else None
        if items and items[0].get(name, None) is not None:
            return items[0].get(name)
    return values.get(name, None)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if value is None or value == "":
        return None
    numbers = tuple(float(part) for part in (value if hasattr(value, "__iter__") else [value]))
    return numbers if len(numbers) == count else None
