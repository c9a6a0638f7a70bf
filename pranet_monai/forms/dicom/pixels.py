# SPDX-License-Identifier: Apache-2.0
"""Voxels of a stack: decoded, on the scale that each file states, in float32."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.claims import check_memory
from pranet_monai.forms.dicom.header import Plane, library
from pranet_monai.forms.dicom.places import open_file
from pranet_monai.forms.dicom.sizes import check_size
from pranet_monai.forms.dicom.stack import Stack
from pranet_monai.forms.files import as_bad_case

__all__ = ["pictures_of", "read_dataset", "read_voxels", "stored_pixels"]

AIR_HU = -1024.0
"""What padding counts as in CT; elsewhere it is 0, no signal."""


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
    scaled: list[Scale | None] = []
    for place, wanted in targets.items():
        with _named(place):
            dataset = read_dataset(place)
            if _is_turned(dataset) and not any("MONOCHROME1" in remark for remark in remarks):
                remarks.append("MONOCHROME1: grey values inverted, so that brighter means more")
            pictures = pictures_of(place, dataset, [frame for frame, _, _ in wanted])
            for (frame, time, index), picture in zip(wanted, pictures, strict=True):
                scaled.append(_scale(place, dataset, frame))
                voxels[time, :, :, index] = _rescaled(place, picture, dataset, scaled[-1]).T
            is_ct = dataset.get("Modality") == "CT"
    _check_scales(name, scaled)
    if is_ct and scaled[0] is None:
        remarks.append("no RescaleSlope and RescaleIntercept: the stored numbers are taken for HU")
    return voxels


def read_dataset(place: str, pixels: bool = True) -> Any:
    """A file, whole or without its pixels.

    Raises:
        OSError: when it can't be opened; pydicom's own errors where it can't be read.
    """
    if pixels:
        check_size(place)
    with warnings.catch_warnings(), open_file(place) as file:
        warnings.simplefilter("ignore")
        return library().dcmread(file, stop_before_pixels=not pixels, force=True)


def stored_pixels(plane: Plane) -> str:
    """A digest of the numbers of one plane as they are stored, equal where planes are."""
    with _named(plane.place):
        (picture,) = pictures_of(plane.place, read_dataset(plane.place), [plane.frame])
        return sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()


def _named(place: str) -> Any:
    advice = "allowed: a whole file whose compression is known; fix: copy it again, or export it uncompressed"
    return as_bad_case(f"{place}: found pixels that can't be read", advice)


def pictures_of(place: str, dataset: Any, frames: Sequence[int] | None = None) -> Iterator[np.ndarray]:
    """The pictures (rows, columns) of one file, decoded one at a time; all of them where none are named.

    Raises:
        BadCaseError: there are none, or nothing here decodes them; pydicom's own errors where they are damaged.
    """
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise BadCaseError(f"{place}: found no pixel data; allowed: an image with its pixels; fix: export it again")
    if "TransferSyntaxUID" not in dataset.file_meta:  # a file without its first part: the default of the standard
        dataset.file_meta.TransferSyntaxUID = library("pydicom.uid").ImplicitVRLittleEndian
    _check_decoder(place, dataset.file_meta.TransferSyntaxUID)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if int(dataset.get("NumberOfFrames", 1) or 1) == 1:
            picture, shape = np.squeeze(dataset.pixel_array), (int(dataset.Rows), int(dataset.Columns))
            if picture.size != shape[0] * shape[1]:
                raise BadCaseError(
                    f"{place}: found {picture.size} pixels; allowed: {shape[0]} x {shape[1]}, as its header says; fix: "
                    "export it again"
                )
            yield picture.reshape(shape)
        elif dataset.BitsAllocated == 1 and not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            yield from _unpacked(dataset, frames)
        else:
            yield from library("pydicom.pixels").iter_pixels(dataset, indices=frames)


def _unpacked(dataset: Any, frames: Sequence[int] | None) -> Iterator[np.ndarray]:
    """Pictures of a bit per pixel: pydicom 3.0 loses the end of those that begin and end within a byte."""
    shape = (int(dataset.Rows), int(dataset.Columns))
    packed, size = np.frombuffer(dataset.PixelData, np.uint8), shape[0] * shape[1]
    for frame in range(int(dataset.NumberOfFrames)) if frames is None else frames:
        first, skipped = divmod(frame * size, 8)
        bits = np.unpackbits(packed[first : first + (skipped + size + 7) // 8], bitorder="little")
        yield bits[skipped : skipped + size].reshape(shape)


def _check_decoder(place: str, syntax: Any) -> None:
    """Names what is missing, where compressed pixels need a package that isn't here."""
    if not syntax.is_compressed or syntax.is_deflated:
        return
    told = f"{place}: found pixels compressed as {syntax.name}"
    try:
        decoder = library("pydicom.pixels").get_decoder(syntax)
    except NotImplementedError:
        allowed = "JPEG, JPEG-LS, JPEG 2000, RLE and no compression"
        raise BadCaseError(f"{told}; allowed: {allowed}; fix: export it uncompressed") from None
    if not decoder.is_available:
        missing = ", ".join(decoder.missing_dependencies)
        raise BadCaseError(
            f"{told}, and nothing here that decodes them ({missing}); fix: pip install 'pranet-monai[dicom]', or "
            "export it uncompressed"
        )


Scale = tuple[float, float]
"""Slope and intercept."""


def _rescaled(place: str, picture: np.ndarray, dataset: Any, scale: Scale | None) -> np.ndarray:
    values = _on_scale(picture, dataset, scale)
    if _is_turned(dataset):
        values = _on_scale(_lowest_and_highest(dataset).astype(picture.dtype), dataset, scale).sum() - values
    padding = _padding(dataset, picture)
    if padding is not None:
        values[padding] = AIR_HU if dataset.get("Modality") == "CT" else 0
    return values.astype(np.float32)


def _on_scale(stored: np.ndarray, dataset: Any, scale: Scale | None) -> np.ndarray:
    if scale is None and "ModalityLUTSequence" in dataset:
        stored = library("pydicom.pixels").apply_modality_lut(stored, dataset)
    slope, intercept = scale or (1.0, 0.0)
    return np.asarray(stored.astype(np.float64) * slope + intercept)


def _padding(dataset: Any, picture: np.ndarray) -> np.ndarray | None:
    """Which pixels are none of the image, such as the corners of a round field of view; None where none are named."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    # wrapped as the pixels are: many write a negative one as if it were unsigned
    low, high = np.sort(np.asarray([int(first), int(first if last is None else last)]).astype(picture.dtype))
    return np.asarray((picture >= low) & (picture <= high))


def _scale(place: str, dataset: Any, frame: int) -> Scale | None:
    """Slope and intercept: of the frame's own group, of that of all frames, or of the file; None where none are."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence", None) or []
    shared = dataset.get("SharedFunctionalGroupsSequence", None) or []
    found = [
        group.get("PixelValueTransformationSequence", None) for group in (*per_frame[frame : frame + 1], *shared[:1])
    ]
    for source in (*(items[0] for items in found if items), dataset):
        slope, intercept = source.get("RescaleSlope"), source.get("RescaleIntercept")
        if slope == 0:
            raise BadCaseError(f"{place}: found RescaleSlope 0; allowed: any other number; fix: export it again")
        if slope is not None or intercept is not None:
            return float(1 if slope is None else slope), float(intercept or 0)
    return None


def _check_scales(name: str, scales: list[Scale | None]) -> None:
    """Refuses a volume of which a part isn't on the scale of the others."""
    bare = scales.count(None)
    if bare and any(scale not in (None, (1.0, 0.0)) for scale in scales):
        raise BadCaseError(
            f"{name}: found {bare} of {len(scales)} planes without RescaleSlope and RescaleIntercept; allowed: all or "
            "none of them; fix: export the series again"
        )


def _is_turned(dataset: Any) -> bool:
    """Whether larger numbers are shown darker. In CT they are HU all the same, and only the showing differs."""
    return dataset.get("PhotometricInterpretation") == "MONOCHROME1" and dataset.get("Modality") != "CT"


def _lowest_and_highest(dataset: Any) -> np.ndarray:
    """The least and the largest number that can be stored."""
    bits = int(dataset.BitsStored)
    return np.array(
        [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if dataset.get("PixelRepresentation") else [0, 2**bits - 1]
    )
