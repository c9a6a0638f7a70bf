# SPDX-License-Identifier: Apache-2.0
"""Masks as DICOM segmentation objects that name the very planes that they were made of."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pranet_monai import __version__
from pranet_monai.data.labels import LabelMap
from pranet_monai.data.organs import OrganCode
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.dicom.header import Plane, library
from pranet_monai.forms.dicom.pixels import read_dataset
from pranet_monai.forms.dicom.values import finite_numbers
from pranet_monai.forms.provenance import Algorithm, Provenance
from pranet_monai.storage.atomic import atomic_write

__all__ = ["MANUFACTURER", "coded", "make_segmentation", "save_object", "source_datasets", "written_provenance"]

MANUFACTURER = "pranet-monai"

_STRUCTURE, _ABNORMAL = ("123037004", "Anatomical Structure"), ("49755003", "Morphologically Abnormal Structure")
_SEGMENTATION_STORAGE_OF_CLASSIC = "1.2.840.10008.5.1.4.1.1.4"  # MR: what a plane of a multi-frame file is presented as
_NOT_OF_A_PLANE = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "NumberOfFrames")
# what highdicom wants of a source, and the standard allows to be empty
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName"),
)


def make_segmentation(
    sources: Sequence[Any],
    planes: Sequence[Plane],
    classes: np.ndarray,
    label_map: LabelMap,
    made_by: Provenance,
    algorithm: Algorithm,
) -> Any:
    """A segmentation of one volume: a segment per class, a frame per class and plane where the class is seen.

    Args:
        sources: of :func:`source_datasets`.
        planes: of the volume, in the order of its slices.
        classes: class numbers (H, W, D), uint8.
        label_map: the classes.
        made_by: hashes that go into it.
        algorithm: what made the mask.

    Raises:
        BadCaseError: highdicom isn't there, or refuses the files.
    """
    highdicom, uid = library("highdicom"), library("pydicom.uid").generate_uid
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the sources' own faults, and of a mask without anything in it
            dataset = highdicom.seg.Segmentation(
                source_images=list(sources),
                pixel_array=np.ascontiguousarray(classes.transpose(2, 1, 0)),
                segmentation_type="BINARY",
                omit_empty_frames=bool(classes.any()),  # else highdicom tells the user that it can't omit them all
                segment_descriptions=_segments(label_map, made_by, algorithm),
                series_instance_uid=uid(),
                series_number=9000 + (_number(sources[0]) % 1000),
                sop_instance_uid=uid(),
                instance_number=1,
                manufacturer=MANUFACTURER,
                manufacturer_model_name=algorithm.name[:64],
                software_versions=__version__,
                device_serial_number="1",
                content_label="SEGMENTATION",
                content_creator_name=MANUFACTURER,
                content_description=f"{label_map.name} by {algorithm.name}"[:64],
            )
    except (ValueError, TypeError, AttributeError) as error:
        raise BadCaseError(
            f"{planes[0].place}: found headers that no segmentation can be made of ({' '.join(str(error).split())}); "
            "fix: --output_format nifti writes the mask alone"
        ) from error
    dataset.SeriesDescription = f"Segmentation: {label_map.name}"[:64]
    _point_to_planes(dataset, sources, planes)
    return dataset


def source_datasets(planes: Sequence[Plane]) -> list[Any]:
    """A header for each plane, as of a file of one plane each, with whatever may be empty there."""
    pydicom, files, found, seen = library(), dict[str, Any](), list[Any](), set[str]()
    for plane in planes:
        if plane.place not in files:
            files[plane.place] = read_dataset(plane.place, pixels=False)
        header = files[plane.place]
        dataset = pydicom.Dataset()
        dataset.update({element.tag: copy(element) for element in header if element.keyword not in _NOT_OF_A_PLANE})
        dataset.file_meta = header.file_meta
        if "NumberOfFrames" in header:
            dataset.SOPClassUID = _SEGMENTATION_STORAGE_OF_CLASSIC
        if not dataset.get("SOPInstanceUID") or dataset.SOPInstanceUID in seen or "NumberOfFrames" in header:
            dataset.SOPInstanceUID = pydicom.uid.generate_uid()
        seen.add(dataset.SOPInstanceUID)
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = (
            list(plane.position or ()),
            list(plane.directions or ()),
        )
        dataset.PixelSpacing = list(plane.spacing or ())
        dataset.SeriesInstanceUID = found[0].SeriesInstanceUID if found else _uid(header, "SeriesInstanceUID")
        for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
            setattr(dataset, name, getattr(found[0], name) if found else _uid(header, name))
        _as_the_standard_wants(dataset)
        thickness = finite_numbers(dataset.get("SliceThickness"), 1) or (0.0,)
        if thickness[0] <= 0:
            dataset.SliceThickness = _distance_mm(planes)
        found.append(dataset)
    return found


def _as_the_standard_wants(dataset: Any) -> None:
    """Text in UTF-8, and nothing where a value is missing or none that may stand there: highdicom is strict."""
    dataset.decode()
    if dataset.get("SpecificCharacterSet"):
        dataset.SpecificCharacterSet = "ISO_IR 192"
    elif "SpecificCharacterSet" in dataset:
        del dataset.SpecificCharacterSet
    for name in _MAY_BE_EMPTY:
        if not _may_stand(name, dataset.get(name)):
            setattr(dataset, name, "")


def _may_stand(name: str, value: Any) -> bool:
    if name == "PatientSex":
        return value in ("M", "F", "O")
    try:
        if name.endswith("Date"):
            library("pydicom.valuerep").DA(value)
        if name.endswith("Time"):
            library("pydicom.valuerep").TM(value)
    except ValueError:
        return False
    return value is not None


def _distance_mm(planes: Sequence[Plane]) -> float:
    """Between neighbouring planes; of a lone one, which has none, 1 mm as in the mask."""
    places = [plane.position for plane in planes[:2] if plane.position is not None]
    return round(math.dist(*places), 6) or 1.0 if len(places) == 2 else 1.0


def _uid(header: Any, name: str) -> str:
    """What the header says, or a made-up one, as a segmentation must have it."""
    return str(header.get(name, "") or library("pydicom.uid").generate_uid())


def _number(dataset: Any) -> int:
    try:
        return int(dataset.get("SeriesNumber", 0) or 0)
    except ValueError:
        return 0


def _segments(label_map: LabelMap, made_by: Provenance, algorithm: Algorithm) -> list[Any]:
    highdicom = library("highdicom")
    family = library("pydicom.sr.codedict").codes.cid7162.ArtificialIntelligence
    identification = highdicom.AlgorithmIdentificationSequence(
        name=algorithm.name, family=family, version=algorithm.version, source=MANUFACTURER,
        parameters={f"{key}_sha256": value for key, value in asdict(made_by).items()},
    )  # fmt: skip
    found = []
    for number, name in label_map.foreground.items():
        code = label_map.codes[number]
        regions = [coded(*code.region)] if code.region[0] else None
        segment = highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=coded(*(_ABNORMAL if code.is_lesion else _STRUCTURE)),
            segmented_property_type=coded(code.value, code.meaning, code.scheme),
            algorithm_type="AUTOMATIC",
            algorithm_identification=identification,
            tracking_uid=highdicom.UID(),
            tracking_id=name,
            anatomic_regions=regions,
            display_color=highdicom.color.CIELabColor.from_rgb(*label_map.colors[number]),
        )
        _add_modifier(segment, code)
        found.append(segment)
    return found


def coded(value: str, meaning: str, scheme: str = "SCT") -> Any:
    """A code, of SNOMED CT where nothing else is said."""
    return library("highdicom").sr.CodedConcept(value=value, scheme_designator=scheme, meaning=meaning)


def _add_modifier(segment: Any, code: OrganCode) -> None:
    if code.modifier[0]:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [coded(*code.modifier)]


def _point_to_planes(dataset: Any, sources: Sequence[Any], planes: Sequence[Plane]) -> None:
    """References to the very files and frames, where highdicom was shown stand-ins for their planes."""
    headers = {plane.place: read_dataset(plane.place, pixels=False) for plane in planes}
    # what has no UID at all keeps the stand-in's
    uids = {
        plane.place: str(headers[plane.place].get("SOPInstanceUID", "") or source.SOPInstanceUID)
        for plane, source in zip(planes, sources, strict=True)
    }
    are_shown = all(source.SOPInstanceUID == uids[plane.place] for plane, source in zip(planes, sources, strict=True))
    if are_shown and len({header.get("SeriesInstanceUID") for header in headers.values()}) == 1:
        return
    pydicom = library()
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        position = np.asarray(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        plane = min(planes, key=lambda one: float(np.linalg.norm(position - np.asarray(one.position))))
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        source.ReferencedSOPClassUID = headers[plane.place].SOPClassUID
        source.ReferencedSOPInstanceUID = uids[plane.place]
        if "NumberOfFrames" in headers[plane.place]:
            source.ReferencedFrameNumber = plane.frame + 1
    by_series: dict[str, dict[str, Any]] = defaultdict(dict)
    for place, header in headers.items():
        by_series[str(header.get("SeriesInstanceUID", sources[0].SeriesInstanceUID))][uids[place]] = header
    named = {
        series: [
            _dataset(pydicom, ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=uid)
            for uid, one in members.items()
        ]
        for series, members in by_series.items()
    }
    dataset.SourceImageSequence = [instance for instances in named.values() for instance in instances]
    dataset.ReferencedSeriesSequence = [
        _dataset(pydicom, SeriesInstanceUID=series, ReferencedInstanceSequence=instances)
        for series, instances in named.items()
    ]


def _dataset(pydicom: Any, **elements: Any) -> Any:
    dataset = pydicom.Dataset()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def save_object(path: Path, dataset: Any) -> None:
    """Writes an object whole or not at all."""
    with atomic_write(path) as partial:
        dataset.save_as(partial, enforce_file_format=True)


def written_provenance(path: Path) -> Provenance | None:
    """What a segmentation of this project says it was made of; None for any other, and for one that can't be read."""
    try:
        segment = read_dataset(str(path), pixels=False).SegmentSequence[0]
        told = str(segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters)
        found = dict(part.split("=", 1) for part in told.split(","))
        return Provenance(found["image_sha256"], found["weights_sha256"])
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is no finished one
        return None
