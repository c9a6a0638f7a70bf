# SPDX-License-Identifier: Apache-2.0
"""What a DICOM file says of itself, without its pixels: what it is, of which series, and where its planes lie."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from monai.utils import optional_import
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.dicom.places import folder_of, open_file, size_and_time
from pranet_monai.forms.dicom.sizes import check_inflated_size
from pranet_monai.forms.dicom.values import finite_numbers, whole_number

__all__ = [
    "CONTRASTS",
    "SEGMENTATION",
    "TIME_KEYS",
    "Header",
    "Plane",
    "library",
    "planes_of",
    "read_headers",
    "sources_of",
]

TIME_KEYS = (
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "TemporalPositionIndex",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "InstanceNumber",
)
"""What tells apart the times of one place, the first that does so everywhere; in the order in which they are asked."""

CONTRASTS = ("image type", "echo time", "b-value")
"""What tells apart volumes of one series that lie at the same places, and aren't times."""

SEGMENTATION = "segmentation"
"""What :class:`Header` calls such an object."""

_VOLUMES = {  # the SOP classes whose planes have a place in the patient, below 1.2.840.10008.5.1.4.1.1
    *("2", "2.1", "2.2", "4", "4.1", "4.4", "128", "128.1", "130", "13.1.1", "13.1.3", "6.3")
}
_ROOT = "1.2.840.10008.5.1.4.1.1."
_DIRECTORY = "1.2.840.10008.1.3.10"
_SEGMENTATIONS = {_ROOT + "66.4", _ROOT + "66.7"}
_SCOUT_NAME = re.compile(
    r"(?<![a-z])(loca?|locali[sz]er|scout|survey|surview|pilot|topogram|scanogram|3[ _-]?pl(ane)?)(?![a-z])",
    re.IGNORECASE,
)
_TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality"),
    *("PatientID", "ImageType", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID"),
    *("SpacingBetweenSlices", "SliceThickness", "TriggerTime", "TemporalPositionIndex", "TemporalPositionIdentifier"),
    *("AcquisitionNumber", "EchoTime", "DiffusionBValue", "InstanceNumber", "NominalCardiacTriggerDelayTime"),
    *("SeriesDescription", "ProtocolName"),
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
        contrasts: of :data:`CONTRASTS` those that it has, in words.
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
    contrasts: Mapping[str, str] = field(default_factory=dict)
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
        is_called_scout: whether its series has a name that localizers have.
        segments: of a segmentation the UIDs of the series that it was drawn on.
        sources: of a segmentation the UIDs of the SOP instances that its pictures were drawn on.
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
    is_called_scout: bool = False
    segments: tuple[str, ...] = ()
    sources: frozenset[str] = frozenset()
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
            check_inflated_size(place, file)
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=True)
            return _header(place, _readable_values(dataset))
    except BadCaseError as error:
        return Header(place, error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one file is told of that file
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return Header(place, error=f"{place}: found a file that can't be read as DICOM ({what}); fix: copy it again")


def _readable_values(dataset: Any) -> dict[str, Any]:
    """Without those that aren't what their tag demands, such as a letter for a number."""
    found = {}
    for tag in list(dataset.keys()):
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            element = dataset[tag]
            found[element.keyword] = element.value
    if "MediaStorageSOPClassUID" in dataset.file_meta:  # a CD's table of contents states it there alone
        found.setdefault("SOPClassUID", dataset.file_meta.MediaStorageSOPClassUID)
    return found


def _header(place: str, values: Mapping[str, Any]) -> Header:
    if "SOPClassUID" not in values and "Rows" not in values:
        return Header(place, error=f"{place}: found a file that can't be read as DICOM; fix: copy it again")
    facts = _facts(place, values)
    other = _other_than_image(values)
    if other:
        sources = frozenset(_source_instances(values)) if other == SEGMENTATION else frozenset()
        return Header(place, other, **facts, segments=tuple(_referenced_series(values)), sources=sources)
    if not all(values.get(name) for name in ("Rows", "Columns", "BitsAllocated")):
        missing = f"{place}: found no pixel data; allowed: an image with its pixels; fix: export the series again"
        return Header(place, **facts, error=missing)
    if "MOSAIC" in str(values.get("ImageType", "")).upper():
        mosaic = f"{place}: found a mosaic, all slices side by side in one picture; allowed: a picture for each slice; "
        return Header(place, **facts, error=f"{mosaic}fix: convert it by dcm2niix, and give its .nii.gz")
    frames = whole_number(values, "NumberOfFrames") or 1
    if frames < 1:
        few = f"{place}: found NumberOfFrames {frames}; allowed: 1 or more; fix: export the series again"
        return Header(place, **facts, error=few)
    if frames > max(1, len(values.get("PerFrameFunctionalGroupsSequence", None) or [])):
        several = f"{place}: found {frames} pictures in one file without a place for each; fix: export it as enhanced "
        return Header(place, **facts, error=f"{several}multi-frame, or as one file per picture")
    return Header(place, **facts, planes=tuple(planes_of(place, values, frames)))


def _facts(place: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same for a file of any kind."""
    folder, has_uids = folder_of(place), bool(values.get("StudyInstanceUID") and values.get("SeriesInstanceUID"))
    names = f"{values.get('SeriesDescription') or ''} {values.get('ProtocolName') or ''}"
    return {
        "study": str(values.get("StudyInstanceUID") or folder),
        "series": str(values.get("SeriesInstanceUID") or folder),
        "series_number": whole_number(values, "SeriesNumber"),
        "patient": str(values.get("PatientID") or ""),
        "modality": str(values.get("Modality") or ""),
        "reference_frame": str(values.get("FrameOfReferenceUID") or ""),
        "has_uids": has_uids,
        "is_called_scout": bool(_SCOUT_NAME.search(names)),
    }


def _other_than_image(values: Mapping[str, Any]) -> str:
    """What a file is, where it is no image of a volume; empty where it is one."""
    sop_class = str(values.get("SOPClassUID", ""))
    if sop_class in _SEGMENTATIONS:
        return SEGMENTATION
    if sop_class == _DIRECTORY:
        return "table of contents"
    if sop_class.startswith(_ROOT) and sop_class.removeprefix(_ROOT) not in _VOLUMES:
        name = getattr(values["SOPClassUID"], "name", sop_class)
        return str(name).removesuffix(" Storage")
    image_type = str(values.get("ImageType", "")).upper()
    if "LOCALIZER" in image_type:
        return "localizer"
    if "PROJECTION IMAGE" in image_type:
        return "projection"
    return "colour picture" if (whole_number(values, "SamplesPerPixel") or 1) != 1 else ""


def _referenced_series(values: Mapping[str, Any]) -> Iterator[str]:
    for series in values.get("ReferencedSeriesSequence", None) or []:
        yield str(series.get("SeriesInstanceUID", ""))


def _source_instances(values: Mapping[str, Any]) -> Iterator[str]:
    shared = values.get("SharedFunctionalGroupsSequence", None) or []
    for groups in (*shared, *(values.get("PerFrameFunctionalGroupsSequence", None) or [])):
        yield from (str(source.get("ReferencedSOPInstanceUID", "")) for source in sources_of(groups))


def sources_of(groups: Any) -> Iterator[Any]:
    """The references to what a picture was drawn on, out of its functional groups."""
    for derivation in groups.get("DerivationImageSequence", None) or []:
        yield from derivation.get("SourceImageSequence", None) or []


def planes_of(place: str, values: Mapping[str, Any], frames: int) -> Iterator[Plane]:
    """The pictures of a file, as many as `frames`; `values` are its elements by their keywords."""
    per_frame = values.get("PerFrameFunctionalGroupsSequence", None) or []
    shared = (values.get("SharedFunctionalGroupsSequence", None) or [None])[0]
    for frame in range(frames):
        groups = [
            group for group in (per_frame[frame] if frame < len(per_frame) else None, shared) if group is not None
        ]
        yield Plane(
            place,
            frame,
            str(values.get("SOPInstanceUID") or place),
            finite_numbers(_from("PlanePositionSequence", "ImagePositionPatient", groups, values), 3),
            finite_numbers(_from("PlaneOrientationSequence", "ImageOrientationPatient", groups, values), 6),
            finite_numbers(_from("PixelMeasuresSequence", "PixelSpacing", groups, values), 2),
            (int(values.get("Rows", 0)), int(values.get("Columns", 0))),
            dict(_times(groups, values, frame)),
            dict(_contrasts(groups, values)),
            _distance(groups, values),
        )


_SEQUENCE_OF_TIME = {
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "TemporalPositionIndex": "FrameContentSequence",
}


def _times(groups: list[Any], values: Mapping[str, Any], frame: int) -> Iterator[tuple[str, float]]:
    for key in TIME_KEYS:
        number = finite_numbers(_from(_SEQUENCE_OF_TIME.get(key, ""), key, groups, values), 1)
        if key == "InstanceNumber":
            yield key, (number[0] if number else 0.0) * 1e6 + frame
        elif number:
            yield key, number[0]


def _contrasts(groups: list[Any], values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each of :data:`CONTRASTS` that a plane has."""
    image_type = _from("MRImageFrameTypeSequence", "FrameType", groups, {}) or values.get("ImageType")
    if image_type:
        parts = [image_type] if isinstance(image_type, str) else image_type
        yield "image type", "/".join(part.strip() for part in parts)
    echo = _from("MREchoSequence", "EffectiveEchoTime", groups, {}) or values.get("EchoTime")
    b_value = _from("MRDiffusionSequence", "DiffusionBValue", groups, values)
    # rounded, as scanners count the same one a little differently
    for name, value, digits, unit in (("echo time", echo, 2, " ms"), ("b-value", b_value, 0, "")):
        number = finite_numbers(value, 1)
        if number:
            yield name, f"{round(number[0], digits):g}{unit}"


def _distance(groups: list[Any], values: Mapping[str, Any]) -> float | None:
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        number = finite_numbers(_from("PixelMeasuresSequence", name, groups, values), 1)
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
