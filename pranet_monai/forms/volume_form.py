# SPDX-License-Identifier: Apache-2.0
"""What all forms of volumes share: masks are NIfTI files on the image's own grid, references lie on that grid too."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import nibabel as nib
import numpy as np
from monai.data import MetaTensor
from monai.utils import ImageMetaKey
from pranet_monai.data.labels import LabelMap
from pranet_monai.forms.base import Form, Item, KindName
from pranet_monai.forms.files import check_gzip, is_nibabel, open_nibabel, open_nifti
from pranet_monai.forms.grid import FRAMES, ORIGINAL_SHAPE, check_same_grid, is_same_grid, original_affine
from pranet_monai.forms.label_table import label_table_extension, read_label_table
from pranet_monai.forms.provenance import Provenance
from pranet_monai.forms.remarks import add_remarks, remarks_of
from pranet_monai.forms.volume_reader import data_file
from pranet_monai.geometry import turn_between
from pranet_monai.storage.atomic import atomic_write

__all__ = ["VolumeForm", "check_on_file_grid", "mask_on_file_grid"]

# fields of NIfTI that hold whatever a scanner or a converter wrote there, patients' names among it
_FREE_TEXT = ("descrip", "aux_file", "db_name", "intent_name", "data_type")

_OWN_MAP = "a map of pranet_monai"  # the note in its header
_COMMENT = 6  # the code of plain text among NIfTI's header extensions


class VolumeForm(Form):
    """A form whose cases are volumes."""

    kind: ClassVar[KindName] = "volume"

    def read_reference(self, item: Item, image: MetaTensor, label_map: LabelMap) -> np.ndarray:
        """See the base class."""
        label = self.read_mask(item)
        add_remarks(image, [f"reference: {remark}" for remark in remarks_of(label)])
        self.check_same_grid(label, image)
        values = label.numpy(force=True)
        if FRAMES in image.meta:
            values = values[np.asarray(image.meta[FRAMES]).astype(int)]
        return self.numbering(item, label_map).from_raw(values, str(item["label"]))

    def reference_files(self, item: Item) -> list[Path]:
        """See the base class: of a folder of label images all, of a header also the voxels beside it."""
        label = Path(item["label"])
        if label.is_dir():
            return sorted(path for path in label.iterdir() if path.is_file())
        return [label, *(voxels for voxels in [data_file(label)] if voxels is not None)]

    def check_same_grid(self, volume: MetaTensor, other: MetaTensor) -> None:
        """See the base class."""
        check_same_grid(volume, other)

    def numbering(self, item: Item, label_map: LabelMap) -> LabelMap:
        """How the file under ``label`` numbers the classes; by default as the data set's own files.

        Raises:
            BadCaseError: the file says that it holds other classes.
        """
        return label_map

    def as_in_file(self, image: MetaTensor) -> np.ndarray:
        """See the base class: (frames, H, W, D)."""
        turn = turn_between(np.asarray(image.affine), original_affine(image))
        by_voxel = np.moveaxis(image.numpy(force=True), 0, -1)  # turned as a view: a CT isn't copied for a picture
        return np.moveaxis(nib.orientations.apply_orientation(by_voxel, turn), -1, 0)

    def write_mask(self, path: Path, mask: MetaTensor, label_map: LabelMap, made_by: Provenance) -> None:
        """See the base class.

        A 2D image gets a 2D mask, a 4D cine a 4D one (frames that weren't asked for stay 0). The header is that of the
        input file where it is NIfTI, a pair of files included (qform, sform, their codes, voxel sizes, units); other
        kinds get a header made from their affine. Names and colours of the classes are in a header extension.
        """
        image = _nifti(mask_on_file_grid(mask).astype(np.uint8, copy=False), mask)
        image.header.set_data_dtype(np.uint8)
        image.header.set_intent("label")
        image.header.extensions.append(label_table_extension(label_map.labels, label_map.colors))
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", made_by.text().encode()))
        with atomic_write(path) as partial:
            nib.save(image, partial)

    def write_probabilities(self, path: Path, probabilities: MetaTensor) -> None:
        """See the base class: (H, W, D, classes) float32; of a cine (H, W, D, frames, classes)."""
        frames = len(np.asarray(probabilities.meta[FRAMES])) if FRAMES in probabilities.meta else 1
        by_class = probabilities.unflatten(0, (frames, -1))
        maps = [mask_on_file_grid(by_class[:, index]) for index in range(by_class.shape[1])]
        _write_map(path, np.stack(maps, axis=-1).astype(np.float32), probabilities)

    def write_quality_map(self, path: Path, confidence: MetaTensor) -> None:
        """See the base class: float32 in steps of 0.01, of the image's shape."""
        _write_map(path, mask_on_file_grid(confidence).astype(np.float32).round(2), confidence)

    def is_own(self, path: Path) -> bool:
        """See the base class: our masks have a table of classes in their header, our maps a note."""
        try:
            found = open_nifti(path)
            return bool(read_label_table(found)) or _OWN_MAP in _comments(found)
        except (nib.filebasedimages.ImageFileError, OSError, EOFError, ValueError):
            return path.is_file()

    def mask_is_whole(self, mask: Path, item: Item, label_map: LabelMap, made_by: Provenance) -> bool:
        """See the base class; its grid must be the image's, too, whose header may have been repaired since."""
        try:
            check_gzip(mask)
            found = open_nifti(mask)
            same = read_label_table(found) == label_map.foreground and _provenance(found) == made_by
            return same and self._is_on_grid(found, item)
        except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError):
            return False

    def _is_on_grid(self, mask: nib.Nifti1Image, item: Item) -> bool:
        """Whether a mask has the grid of its image, as far as that is told without reading the image."""
        return True


def mask_on_file_grid(mask: MetaTensor) -> np.ndarray:
    """The mask as the image's file holds its voxels.

    Args:
        mask: (1 or frames, H, W, D), turned back to the orientation of the file.

    Returns:
        Array (H, W), (H, W, D) or (H, W, D, T), of the mask's type.

    Raises:
        ValueError: when the mask isn't on the grid of its image.
    """
    check_on_file_grid(mask)
    shape = tuple(int(n) for n in np.asarray(mask.meta[ORIGINAL_SHAPE]))
    array = mask.numpy(force=True)
    if len(shape) < 4:
        return array[0].reshape(shape)
    whole = np.zeros(shape, dtype=array.dtype)
    whole[..., np.asarray(mask.meta[FRAMES]).astype(int)] = np.moveaxis(array, 0, -1)
    return whole


def check_on_file_grid(mask: MetaTensor) -> None:
    """Refuses a mask that wasn't turned back to its image's own grid.

    Raises:
        ValueError: naming both grids.
    """
    shape = tuple(int(n) for n in np.asarray(mask.meta[ORIGINAL_SHAPE]))
    affine = original_affine(mask)
    volume = (*shape, 1)[:3]
    if tuple(mask.shape[1:]) != volume or not is_same_grid(np.asarray(mask.affine), affine, volume):
        raise ValueError(
            f"{mask.meta[ImageMetaKey.FILENAME_OR_OBJ]}: found a mask of shape {tuple(mask.shape[1:])} and affine "
            f"{np.asarray(mask.affine).round(3).tolist()}; allowed: {volume} and {affine.round(3).tolist()}, the "
            "image's own; fix: put Invertd before SaveMaskd"
        )


def _provenance(mask: nib.Nifti1Image) -> Provenance | None:
    found = [Provenance.of_text(text) for text in _comments(mask)]
    return next((made_by for made_by in found if made_by is not None), None)


def _comments(image: nib.Nifti1Image) -> list[str]:
    texts = [extension.content for extension in image.header.extensions if extension.get_code() == _COMMENT]
    return [text.decode(errors="replace").rstrip("\0 ") for text in texts]


def _write_map(path: Path, array: np.ndarray, like: MetaTensor) -> None:
    """Writes float32 numbers with the header of the file that they belong to."""
    image = _nifti(array, like)
    image.header.set_data_dtype(np.float32)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", _OWN_MAP.encode()))
    with atomic_write(path) as partial:
        nib.save(image, partial)


def _nifti(array: np.ndarray, mask: MetaTensor) -> nib.Nifti1Image:
    """An image with the header of the file that a mask belongs to."""
    source, affine = Path(str(mask.meta[ImageMetaKey.FILENAME_OR_OBJ])), original_affine(mask)
    template = open_nibabel(source) if is_nibabel(source) else None
    if isinstance(template, nib.Nifti1Pair):
        kind, header = _single_file_header(template)
        image = kind(array, template.affine, header)
    else:
        image = nib.Nifti1Image(array, affine)
        image.set_sform(affine, code="scanner")
        image.set_qform(affine, code="scanner")
        image.header.set_xyzt_units("mm", "sec")
    image.header.set_slope_inter(1, 0)
    image.header["cal_min"] = image.header["cal_max"] = 0  # the image's display window means nothing for its mask
    for name in _FREE_TEXT:
        if name in image.header:
            image.header[name] = b""
    return image


def _single_file_header(template: nib.Nifti1Pair) -> tuple[type[nib.Nifti1Image], nib.Nifti1Header]:
    """The class and the header of a single file that says what this one or this pair of files says."""
    kind = nib.Nifti2Image if isinstance(template.header, nib.Nifti2Header) else nib.Nifti1Image
    header = kind.header_class(template.header.binaryblock, template.header.endianness, check=False)
    header["magic"], header["vox_offset"] = header.single_magic, 0  # nibabel puts the voxels behind the extensions
    return kind, header
