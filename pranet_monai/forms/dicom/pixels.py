# SPDX-License-Identifier: Apache-2.0
"""Voxels of a stack: decoded, on the scale that each file states, in float32."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.claims import check_memory
from pranet_monai.forms.dicom.header import Plane, library
from pranet_monai.forms.dicom.places import open_file
from pranet_monai.forms.dicom.stack import Stack
from pranet_monai.forms.files import as_bad_case

__all__ = ["read_dataset", "read_voxels", "stored_pixels"]


def read_voxels(name: str, stack: Stack, remarks: list[str]) -> np.ndarray:
    """The values of all planes.

    Args:
        name: of the case's files, for messages.
        stack: where they belong.
        remarks: gets what was done to them.

    Returns:
        (frames, columns, rows, slices), float32: HU where the files rescale to HU.

    Raises:
        BadCaseError: when they claim more than memory holds, or a file can't be decoded.
    """
    columns, rows, slices, *_ = stack.shape
    check_memory(name, (len(stack.frames), columns, rows, slices))
    voxels = np.empty((len(stack.frames), columns, rows, slices), dtype=np.float32)
    targets: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for time, planes in enumerate(stack.frames):
        for index, plane in enumerate(planes):
            targets[plane.place].append((plane.frame, time, index))
    turned = 0
    for place, wanted in targets.items():
        with _named(place):
            dataset = read_dataset(place)
            pictures = _pictures(place, dataset, [frame for frame, _, _ in wanted])
            for (frame, time, index), picture in zip(wanted, pictures, strict=True):
                turned += _is_turned(dataset)
                voxels[time, :, :, index] = _rescaled(picture, dataset, frame).T
    if turned:
        remarks.append("MONOCHROME1: grey values inverted, so that brighter means more")
    return voxels


def read_dataset(place: str, pixels: bool = True) -> Any:
    """A file, whole or without its pixels.

    Raises:
        OSError: when it can't be opened; pydicom's own errors where it can't be read.
    """
    with warnings.catch_warnings(), open_file(place) as file:
        warnings.simplefilter("ignore")
        return library().dcmread(file, stop_before_pixels=not pixels, force=True)


def stored_pixels(plane: Plane) -> str:
    """A digest of the numbers of one plane as they are stored, equal where planes are."""
    with _named(plane.place):
        (picture,) = _pictures(plane.place, read_dataset(plane.place), [plane.frame])
        return sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()


def _named(place: str) -> Any:
    advice = "allowed: a whole file whose compression is known; fix: copy it again, or export it uncompressed"
    return as_bad_case(f"{place}: found pixels that can't be read", advice)


def _pictures(place: str, dataset: Any, frames: list[int]) -> Iterator[np.ndarray]:
    """The pictures (rows, columns) of one file, decoded one at a time."""
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise BadCaseError(f"{place}: found no pixel data; allowed: an image with its pixels; fix: export it again")
    if "TransferSyntaxUID" not in dataset.file_meta:  # a file without its first part: the default of the standard
        dataset.file_meta.TransferSyntaxUID = library("pydicom.uid").ImplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if int(dataset.get("NumberOfFrames", 1) or 1) == 1:
            yield np.squeeze(dataset.pixel_array)
            return
        yield from library("pydicom.pixels").iter_pixels(dataset, indices=frames)


def _rescaled(picture: np.ndarray, dataset: Any, frame: int) -> np.ndarray:
    values = picture.astype(np.float64)
    if _is_turned(dataset):
        values = _lowest_and_highest(dataset) - values
    step = _step_of_values(dataset, frame)
    if step is None and "ModalityLUTSequence" in dataset:
        values = np.asarray(library("pydicom.pixels").apply_modality_lut(picture, dataset), dtype=np.float64)
    elif step is not None:
        values = values * float(step.get("RescaleSlope", 1)) + float(step.get("RescaleIntercept", 0))
    return values.astype(np.float32)


def _step_of_values(dataset: Any, frame: int) -> Any:
    """What holds slope and intercept: the frame's own group, that of all frames, or the file."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence", None) or []
    shared = dataset.get("SharedFunctionalGroupsSequence", None) or []
    for group in (*per_frame[frame : frame + 1], *shared[:1]):
        found = group.get("PixelValueTransformationSequence", None)
        if found:
            return found[0]
    return dataset if "RescaleSlope" in dataset else None


def _is_turned(dataset: Any) -> bool:
    """Whether larger numbers are shown darker. In CT they are HU all the same, and only the showing differs."""
    return dataset.get("PhotometricInterpretation") == "MONOCHROME1" and dataset.get("Modality") != "CT"


def _lowest_and_highest(dataset: Any) -> float:
    """The sum of the least and the largest number that can be stored."""
    return -1.0 if int(dataset.get("PixelRepresentation", 0)) else float(2 ** int(dataset.BitsStored) - 1)
