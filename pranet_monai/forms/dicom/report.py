# SPDX-License-Identifier: Apache-2.0
"""Volumes of organs as a DICOM structured report, template 1500: what an archive can show beside the segmentation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pranet_monai import __version__
from pranet_monai.data.labels import LabelMap
from pranet_monai.data.organs import OWN_SCHEME
from pranet_monai.forms.dicom.header import library
from pranet_monai.forms.dicom.pixels import read_dataset
from pranet_monai.forms.dicom.segmentation import MANUFACTURER, coded, save_object
from pranet_monai.forms.provenance import Algorithm

__all__ = ["add_expected_dice", "make_report", "volumes_of"]

_GROUPS, _TRACKING = "125007", "112039"  # Measurement Group, and the Tracking Identifier in it

_MILLILITRE, _NO_UNIT = ("ml", "UCUM", "milliliter"), ("1", "UCUM", "no units")


def make_report(
    segmentation: Any,
    sources: Sequence[Any],
    volumes_ml: Mapping[int, float],
    label_map: LabelMap,
    algorithm: Algorithm,
) -> Any:
    """A measurement report on a segmentation.

    Args:
        segmentation: of ``make_segmentation``.
        sources: that it was made of.
        volumes_ml: class number → volume; a class without any voxel has 0 ml.
        label_map: the classes.
        algorithm: what made the mask.
    """
    highdicom, uid = library("highdicom"), library("pydicom.uid").generate_uid
    sr, codes = highdicom.sr, library("pydicom.sr.codedict").codes
    device = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=uid(), name=MANUFACTURER, manufacturer_name=MANUFACTURER, model_name=algorithm.name
        ),
    )
    groups = [_group(segmentation, number, volume, label_map, algorithm) for number, volume in volumes_ml.items()]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device),
        procedure_reported=_procedure(sources[0]),
        imaging_measurements=groups,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = sr.Comprehensive3DSR(
            evidence=[segmentation],
            content=content,
            series_instance_uid=uid(),
            series_number=int(segmentation.SeriesNumber) + 1,
            sop_instance_uid=uid(),
            instance_number=1,
            manufacturer=MANUFACTURER,
            is_complete=True,
            is_final=False,
        )
    report.SeriesDescription = f"Volumes: {label_map.name}"[:64]
    report.SoftwareVersions = __version__
    return report


def add_expected_dice(path: Path, expected_dice: Mapping[str, float | None]) -> None:
    """Puts estimates of the quality into a report that was just written.

    Args:
        path: of the report.
        expected_dice: name of a class → what its Dice probably is; other names, and None, add nothing.
    """
    sr, report = library("highdicom").sr, read_dataset(str(path))
    name = sr.CodedConcept("expected_dice", OWN_SCHEME, "Expected Dice coefficient")
    for group in _named(report, _GROUPS):
        for organ in group.ContentSequence:
            value = expected_dice.get(str(organ.get("TextValue", ""))) if _is(organ, _TRACKING) else None
            if value is not None:
                group.ContentSequence.extend(sr.Measurement(name, round(value, 4), sr.CodedConcept(*_NO_UNIT)))
                break
    save_object(path, report)


def _named(item: Any, code: str) -> Iterator[Any]:
    """The items of a report's tree whose concept has this code."""
    for part in item.get("ContentSequence", None) or []:
        if _is(part, code):
            yield part
        yield from _named(part, code)


def _is(item: Any, code: str) -> bool:
    return str(item.ConceptNameCodeSequence[0].CodeValue) == code


def volumes_of(classes: np.ndarray, affine: np.ndarray, label_map: LabelMap) -> dict[int, float]:
    """Class number → ml, by the count of voxels; the affine's determinant is right on a sheared grid, too."""
    counts = np.bincount(classes.reshape(-1), minlength=label_map.out_channels)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    return {number: float(counts[number]) * voxel_ml for number in label_map.foreground}


def _group(segmentation: Any, number: int, volume_ml: float, label_map: LabelMap, algorithm: Algorithm) -> Any:
    sr, codes = library("highdicom").sr, library("pydicom.sr.codedict").codes
    code, segment = label_map.codes[number], segmentation.SegmentSequence[number - 1]
    is_side = code.modifier[1] in ("Right", "Left")
    site = sr.FindingSite(
        coded(*code.region) if code.region[0] else coded(code.value, code.meaning, code.scheme),
        laterality=coded(*code.modifier) if is_side else None,
    )
    identification = sr.AlgorithmIdentification(name=algorithm.name, version=algorithm.version)
    millilitre = sr.CodedConcept(*_MILLILITRE)
    measured = [sr.Measurement(codes.SCT.Volume, round(volume_ml, 6), millilitre, algorithm_id=identification)]
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID),
        referenced_segment=_referenced_segment(segmentation, number),
        finding_type=coded(code.value, code.meaning, code.scheme),
        finding_sites=[site],
        measurements=measured,
    )


def _referenced_segment(segmentation: Any, number: int) -> Any:
    """The segment with the series that it was drawn on, also where it has no frame."""
    sr = library("highdicom").sr
    series = sr.SourceSeriesForSegmentation(segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID)
    return sr.ReferencedSegment(segmentation.SOPClassUID, segmentation.SOPInstanceUID, number, source_series=series)


def _procedure(source: Any) -> Any:
    """What was done, as far as the modality tells."""
    sr = library("highdicom").sr
    known = {"CT": ("77477000", "Computed tomography"), "MR": ("113091000", "Magnetic resonance imaging")}
    value, meaning = known.get(str(source.get("Modality", "")), ("363679005", "Imaging"))
    return sr.CodedConcept(value=value, scheme_designator="SCT", meaning=meaning)
