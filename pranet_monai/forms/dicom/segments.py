# SPDX-License-Identifier: Apache-2.0
"""Experts' segmentation objects: which series one was drawn on, and which classes it holds there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from pranet_monai.data.labels import LabelMap, class_name, stated_label_map
from pranet_monai.data.organs import ORGANS
from pranet_monai.errors import BadCaseError, some_of
from pranet_monai.forms.claims import check_memory
from pranet_monai.forms.dicom.header import SEGMENTATION, Header, read_headers
from pranet_monai.forms.dicom.pixels import read_dataset
from pranet_monai.forms.dicom.places import dicom_files
from pranet_monai.forms.dicom.placing import pictures_on
from pranet_monai.forms.dicom.series import Series
from pranet_monai.forms.dicom.stack import Stack
from pranet_monai.forms.files import as_bad_case
from pranet_monai.forms.grid import ORIGINAL_SHAPE, volume_tensor

__all__ = ["class_of_segment", "drawn_on", "numbered_segments", "segment_classes", "segment_name", "segment_names"]

_NUMBERED = re.compile(r"(segment|label|roi)?_?\d*")  # what editors call a segment without a name


def drawn_on(segmentation: Header, found: Sequence[Series]) -> list[Series]:
    """The series that an object was drawn on: those that it names, else those of its source pictures, else those of its
    study and frame of reference, of which there should be one.
    """
    if segmentation.segments:
        return [one for one in found if set(segmentation.segments) & one.uids]
    by_source = [one for one in found if segmentation.sources & {plane.uid for plane in one.planes}]
    facts = (segmentation.study, segmentation.reference_frame)
    images = [one for one in found if one.planes and not one.is_scout]
    return by_source or [one for one in images if (one.headers[0].study, one.headers[0].reference_frame) == facts]


def segment_names(label: str) -> list[str]:
    """What a segmentation object calls its segments; nothing where it can't be read, as reading it says."""
    try:
        return [segment_name(one) for one in read_dataset(label, pixels=False).SegmentSequence]
    except Exception:  # noqa: BLE001 - whatever is wrong with it is told by whoever reads its pixels
        return []


def segment_name(segment: Any) -> str:
    """What a bundle may call a segment: as it is labelled, or by its code where the label is but a number."""
    label = class_name(str(segment.get("SegmentLabel", "")))
    if label and not _NUMBERED.fullmatch(label):
        return label
    code = _code_and_side(segment)
    anywhere = {name: organ.code for name, organ in ORGANS.items() if not organ.code.region[0]}
    organs = [name for name, known in anywhere.items() if (known.value, known.modifier[0]) == code]
    return organs[0] if len(organs) == 1 else label or f"segment_{segment.SegmentNumber}"


def numbered_segments(label: str, stack: Stack, names: Mapping[int, str]) -> MetaTensor:
    """The segments of an object as numbers, (frames, H, W, D).

    Args:
        label: see :func:`segment_classes`.
        stack: of the series.
        names: number → class.

    Raises:
        BadCaseError: see :func:`segment_classes`.
    """
    label_map = stated_label_map("the segments", {str(number): name for number, name in names.items()})
    numbers = np.zeros(label_map.out_channels, dtype=np.float32)
    for number, found in label_map.raw_values.items():
        numbers[found] = number
    voxels = torch.from_numpy(numbers[segment_classes(label, stack, label_map, [])])
    return volume_tensor(label, voxels, stack.affine, {ORIGINAL_SHAPE: np.asarray(stack.shape)})


def segment_classes(label: str, stack: Stack, label_map: LabelMap, remarks: list[str]) -> np.ndarray:
    """The classes that segmentation objects hold of a series; where segments overlap the later one counts.

    Args:
        label: the object; of a cine the objects beside it that name the same series count as well.
        stack: of the series.
        label_map: its classes are known by their names or codes.
        remarks: gets the segments that are none of its classes.

    Returns:
        Class numbers (frames, H, W, D), uint8.

    Raises:
        BadCaseError: an object can't be read, doesn't lie on the series, or names none of the classes.
    """
    columns, rows, slices, *_ = stack.shape
    check_memory(label, (len(stack.frames), columns, rows, slices))
    classes = np.zeros((len(stack.frames), columns, rows, slices), dtype=np.uint8)
    for place in _of_same_series(label) if len(stack.frames) > 1 else [label]:
        with as_bad_case(f"{place}: found a segmentation that can't be read", "fix: export it again"):
            dataset = read_dataset(place)
            _fill(classes, place, dataset, stack, _classes_of_segments(place, dataset, label_map, remarks))
    return classes


def _of_same_series(label: str) -> list[str]:
    (wanted,) = read_headers([label])
    beside = read_headers(dicom_files(sorted(path for path in Path(label).parent.iterdir() if path.is_file())))
    others = [one for one in beside if one.other == SEGMENTATION and set(one.segments) & set(wanted.segments)]
    return [one.place for one in others] or [label]


def _classes_of_segments(place: str, dataset: Any, label_map: LabelMap, remarks: list[str]) -> dict[int, int]:
    """Number of a segment → class, 0 where it is none."""
    numbers = {int(one.SegmentNumber): class_of_segment(one, label_map) for one in dataset.SegmentSequence}
    strange = [segment_name(one) for one in dataset.SegmentSequence if not numbers[int(one.SegmentNumber)]]
    if not any(numbers.values()):
        raise BadCaseError(
            f"{place}: found the segments {some_of(strange)}; allowed: some of "
            f"{', '.join(label_map.foreground.values())}; fix: choose the label map that it was drawn with"
        )
    if strange:
        remarks.append(f"reference: {some_of(strange)}: no class of {label_map.name}, counted as background")
    return numbers


def _fill(classes: np.ndarray, place: str, dataset: Any, stack: Stack, numbers: Mapping[int, int]) -> None:
    half = int(dataset.get("MaximumFractionalValue", 1)) / 2
    is_label_map = dataset.SegmentationType == "LABELMAP"
    for (time, index), groups, picture in pictures_on(stack, place, dataset):
        for number in np.unique(picture[picture > 0]).tolist() if is_label_map else [_segment_number(groups)]:
            inside = picture == number if is_label_map else picture > half
            if numbers.get(number):
                classes[time, :, :, index][inside] = numbers[number]


def class_of_segment(segment: Any, label_map: LabelMap) -> int:
    """The class of a segment by its name, or by its code and side; 0 where it is none of the map."""
    by_name = {name: number for number, name in label_map.foreground.items()}
    name = segment_name(segment)
    if name in by_name:
        return by_name[name]
    found = _code_and_side(segment)
    fitting = [number for number, code in label_map.codes.items() if (code.value, code.modifier[0]) == found]
    return fitting[0] if len(fitting) == 1 else 0


def _code_and_side(segment: Any) -> tuple[str, str]:
    """What a segment is, in codes; empty where it doesn't say."""
    types = segment.get("SegmentedPropertyTypeCodeSequence", None) or []
    if not types:
        return "", ""
    side = (types[0].get("SegmentedPropertyTypeModifierCodeSequence", None) or [None])[0]
    return str(types[0].get("CodeValue", "")), str(side.get("CodeValue", "")) if side is not None else ""


def _segment_number(groups: Any) -> int:
    return int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
