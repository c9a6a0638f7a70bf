# SPDX-License-Identifier: Apache-2.0
"""References of a series: segmentation objects, files of volumes, and the label images of CHAOS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError, some_of
from pranet_monai.forms.base import Item
from pranet_monai.forms.dicom.header import Plane, read_headers
from pranet_monai.forms.dicom.pixels import read_dataset
from pranet_monai.forms.dicom.places import dicom_files
from pranet_monai.forms.dicom.series import IMAGES, Series
from pranet_monai.forms.dicom.stack import SAME_PLACE_MM, Stack
from pranet_monai.forms.files import file_extension, unreadable_is_a_bad_case
from pranet_monai.forms.grid import ORIGINAL_SHAPE, finite_voxels, original_affine, volume_tensor
from pranet_monai.forms.rgb_image import read_rgb
from pranet_monai.forms.search import Search
from pranet_monai.forms.volume_file import VolumeFile
from pranet_monai.forms.volume_reader import EXTENSIONS, read_volume

__all__ = [
    "LABELS",
    "class_of_segment",
    "file_numbering",
    "find_reference",
    "is_segmentation",
    "read_mask_file",
    "segment_classes",
]

LABELS = "Ground"
"""CHAOS's name for the folder of the label images."""


def find_reference(item: Item, series: Series, search: Search) -> Path | None:
    """Where the reference of a series is: CHAOS's folder, a file of a volume by its name, or a segmentation."""
    image = Path(item["image"])
    labels = image.with_name(LABELS)
    if image.name == IMAGES and labels.is_dir():
        return labels
    # the folder that was given itself lies in no other one, as far as this run goes
    named = search.reference_file(search.root / image.name if image == search.root else image, EXTENSIONS)
    return named or next(_segmentations(series, search), None)


def is_segmentation(label: str) -> bool:
    """Whether a reference is a DICOM object."""
    return not Path(label).is_dir() and not file_extension(label, EXTENSIONS)


def _segmentations(series: Series, search: Search) -> Iterator[Path]:
    """The segmentation objects that name the series, but for those of this run."""
    files = search.files if search.label_dir is None else Search(search.label_dir).files
    for header in read_headers(dicom_files(files)):
        path = Path(header.place)
        if (
            set(header.segments) & series.uids
            and header.other == "segmentation"
            and path.resolve() not in search.own_masks
        ):
            yield path


def read_mask_file(item: Item, stack: Stack) -> MetaTensor:
    """The numbers under ``label`` as their files hold them, on the grid of the series.

    Args:
        item: with ``label``, label images or a file of a volume.
        stack: of the series.

    Returns:
        (frames, H, W, D).

    Raises:
        BadCaseError: when they can't be read.
    """
    label = str(item["label"])
    if not Path(label).is_dir():
        return _turned_to(read_volume(label), stack.affine)
    planes = _label_images(label, str(item["image"]), stack.frames[0])
    shapes = {plane.shape for plane in planes}
    if len(shapes) > 1:
        raise BadCaseError(f"{label}: found label images of shapes {sorted(shapes)}; allowed: one shape per case")
    array = torch.from_numpy(np.stack([plane.T for plane in planes], axis=-1).astype(np.float32))
    meta = {ORIGINAL_SHAPE: np.asarray(array.shape)}
    return volume_tensor(label, finite_voxels(label, array)[None], stack.affine, meta)


def file_numbering(item: Item, label_map: LabelMap) -> LabelMap:
    """How the file under ``label`` numbers the classes."""
    return label_map if Path(str(item["label"])).is_dir() else VolumeFile().numbering(item, label_map)


def _turned_to(mask: MetaTensor, affine: np.ndarray) -> MetaTensor:
    """A mask with its axes in the order and direction of the series: converters turn rows and slices round."""
    found = original_affine(mask)
    turn = nib.orientations.ornt_transform(nib.io_orientation(found), nib.io_orientation(affine))
    shape = tuple(mask.shape[1:])
    array = np.stack([nib.orientations.apply_orientation(frame, turn) for frame in mask.numpy(force=True)])
    turned = found @ nib.orientations.inv_ornt_aff(turn, shape)
    volume = torch.from_numpy(np.ascontiguousarray(array))
    return volume_tensor(str(mask.meta["filename_or_obj"]), volume, turned, dict(mask.meta))


def _label_images(folder: str, image_folder: str, slices: Sequence[Plane]) -> list[np.ndarray]:
    """The label images (rows, columns) of these slices."""
    stems = [Path(plane.place).stem for plane in slices]
    files = {path.stem: path for path in Path(folder).glob("*.png")}
    alone = sorted(set(stems) ^ set(files))
    if alone:
        raise BadCaseError(
            f"{folder}: found {len(files)} label images for the {len(stems)} slices in {image_folder}, these without "
            f"a partner: {some_of(alone)}; allowed: one of each name"
        )
    return [read_rgb(files[stem])[..., 0] for stem in stems]


# --- segmentation objects


def segment_classes(label: str, stack: Stack, label_map: LabelMap) -> np.ndarray:
    """The classes that segmentation objects hold of a series; where segments overlap the later one counts.

    Args:
        label: the object; of a cine the objects beside it that name the same series count as well.
        stack: of the series.
        label_map: its classes are known by their names or codes.

    Returns:
        Class numbers (frames, H, W, D), uint8.

    Raises:
        BadCaseError: an object can't be read, doesn't lie on the series, or names none of the classes.
    """
    columns, rows, slices, *_ = stack.shape
    classes = np.zeros((len(stack.frames), columns, rows, slices), dtype=np.uint8)
    for place in _of_same_series(label) if len(stack.frames) > 1 else [label]:
        with unreadable_is_a_bad_case(f"{place}: found a segmentation that can't be read", "fix: export it again"):
            _fill(classes, place, read_dataset(place), stack, label_map)
    return classes


def _of_same_series(label: str) -> list[str]:
    (wanted,) = read_headers([label])
    beside = read_headers(dicom_files(sorted(path for path in Path(label).parent.iterdir() if path.is_file())))
    return [one.place for one in beside if one.other == "segmentation" and set(one.segments) & set(wanted.segments)]


def _fill(classes: np.ndarray, place: str, dataset: Any, stack: Stack, label_map: LabelMap) -> None:
    numbers = {int(one.SegmentNumber): class_of_segment(one, label_map) for one in dataset.SegmentSequence}
    if not any(numbers.values()):
        named = ", ".join(str(one.get("SegmentLabel", "")) for one in dataset.SegmentSequence)
        raise BadCaseError(
            f"{place}: found the segments {named}; allowed: some of {', '.join(label_map.foreground.values())}; fix: "
            "choose the label map that it was drawn with"
        )
    pixels = dataset.pixel_array.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    if pixels.shape[1:] != stack.frames[0][0].shape:
        raise BadCaseError(
            f"{place}: found pictures of {pixels.shape[1:]} pixels; allowed: {stack.frames[0][0].shape}, the series'"
        )
    half = int(dataset.get("MaximumFractionalValue", 1)) / 2
    is_label_map = dataset.SegmentationType == "LABELMAP"
    where = {
        (plane.uid, plane.frame): (time, index)
        for time, planes in enumerate(stack.frames)
        for index, plane in enumerate(planes)
    }
    for groups, picture in zip(dataset.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        time, index = _plane_of(place, groups, where, stack)
        for number in np.unique(picture[picture > 0]).tolist() if is_label_map else [_segment_number(groups)]:
            inside = picture == number if is_label_map else picture > half
            if numbers.get(number):
                classes[time, :, :, index][inside.T] = numbers[number]


def class_of_segment(segment: Any, label_map: LabelMap) -> int:
    """The class of a segment by its name, or by its code and side; 0 where it is none of the map."""
    label = str(segment.get("SegmentLabel", "")).strip().lower().replace(" ", "_")
    by_name = {name: number for number, name in label_map.foreground.items()}
    if label in by_name:
        return by_name[label]
    types = segment.get("SegmentedPropertyTypeCodeSequence", None) or []
    if not types:
        return 0
    side = (types[0].get("SegmentedPropertyTypeModifierCodeSequence", None) or [None])[0]
    found = (str(types[0].get("CodeValue", "")), str(side.get("CodeValue", "")) if side is not None else "")
    fitting = [number for number, code in label_map.codes.items() if (code.value, code.modifier[0]) == found]
    return fitting[0] if len(fitting) == 1 else 0


def _segment_number(groups: Any) -> int:
    return int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _plane_of(place: str, groups: Any, where: dict[tuple[str, int], tuple[int, int]], stack: Stack) -> tuple[int, int]:
    """Time and slice of a picture: of the plane that it names, else of the one at its place."""
    for derivation in groups.get("DerivationImageSequence", None) or []:
        for source in derivation.get("SourceImageSequence", None) or []:
            frames = source.get("ReferencedFrameNumber", 1)
            frame = int(frames if isinstance(frames, (int, str)) else frames[0]) - 1
            found = where.get((str(source.ReferencedSOPInstanceUID), frame))
            if found is not None:
                return found
    position = np.asarray(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
    away = [float(np.linalg.norm(position - np.asarray(plane.position))) for plane in stack.frames[0]]
    nearest = int(np.argmin(away))
    if away[nearest] > SAME_PLACE_MM or len(stack.frames) > 1:
        raise BadCaseError(
            f"{place}: found a picture at {position.round(2).tolist()} mm that is of no plane of the series; allowed: "
            "the planes of the series that it was drawn on; fix: resample it onto them"
        )
    return 0, nearest
