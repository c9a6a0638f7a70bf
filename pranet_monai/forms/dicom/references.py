# SPDX-License-Identifier: Apache-2.0
"""Where the references of a series are: segmentation objects, files of volumes, and the label images of CHAOS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError, some_of
from pranet_monai.forms.base import Item
from pranet_monai.forms.dicom.header import SEGMENTATION, Header, Plane, read_headers
from pranet_monai.forms.dicom.places import dicom_files
from pranet_monai.forms.dicom.segments import drawn_on
from pranet_monai.forms.dicom.series import IMAGES, Series, series_in
from pranet_monai.forms.dicom.stack import Stack
from pranet_monai.forms.files import file_extension
from pranet_monai.forms.grid import ORIGINAL_SHAPE, finite_voxels, original_affine, volume_tensor
from pranet_monai.forms.rgb_image import read_rgb
from pranet_monai.forms.search import Search
from pranet_monai.forms.volume_file import VolumeFile
from pranet_monai.forms.volume_reader import EXTENSIONS, read_volume
from pranet_monai.geometry import turn_between

__all__ = ["LABELS", "file_numbering", "find_reference", "is_segmentation", "no_reference", "read_mask_file"]

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
    """The segmentation objects that were drawn on the series and on no other, but for those of this run."""
    for header, among_all in search.once(_segmentations_in):
        found = drawn_on(header, [series]) if header.segments else among_all
        if len(found) == 1 and found[0].uids & series.uids:
            yield Path(header.place)


def _segmentations_in(search: Search) -> list[tuple[Header, list[Series]]]:
    """All segmentation objects but for those of this run, each with the series among all that it was drawn on."""
    files = search.files if search.label_dir is None else Search(search.label_dir).files
    headers = [header for header in read_headers(dicom_files(files)) if header.other == SEGMENTATION]
    others = [header for header in headers if Path(header.place).resolve() not in search.own_masks]
    return [(header, drawn_on(header, series_in(search))) for header in others]


def no_reference(item: Item, search: Search) -> str:
    """A sentence on a series that has no reference.

    Args:
        item: the series.
        search: where it was looked for.
    """
    name, every = Path(item["image"]).name, search.once(_segmentations_in)
    strange = [one.place for one, found in every if not found]
    unclear = [one.place for one, found in every if len(found) > 1 and not one.segments]
    other = f"; {some_of(strange, 2)} is of a series that isn't here" if strange else ""
    other += f"; {some_of(unclear, 2)} doesn't say which of several series of its study it is of" if unclear else ""
    return (
        f"{item['image']}: found no reference of this series{other}; allowed: a DICOM segmentation that names it, "
        f"{name}_gt.nii.gz beside it, or {name}.nii.gz in a labels* or masks* folder; fix: add one, or give label_dir"
    )


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
    turn = turn_between(found, affine)
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
