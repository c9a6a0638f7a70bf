# SPDX-License-Identifier: Apache-2.0
"""One file per volume: NIfTI, NRRD, MetaImage, with its reference in a file beside it or in a folder beside that."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import ClassVar

import nibabel as nib
from monai.data import MetaTensor
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.base import Frames, Item
from pranet_monai.forms.file_form import FileForm
from pranet_monai.forms.files import as_bad_case, is_nibabel, is_nifti, open_nibabel, open_nifti, without_extension
from pranet_monai.forms.grid import is_same_grid
from pranet_monai.forms.label_table import read_label_table
from pranet_monai.forms.search import Search
from pranet_monai.forms.volume_form import VolumeForm
from pranet_monai.forms.volume_reader import EXTENSIONS, data_file, read_volume
from pranet_monai.storage.hashing import file_sha256

__all__ = ["VolumeFile"]

# the whole cine of an ACDC patient, whose ED and ES frames lie beside it as patient001_frame01, …_frame12
_CINE = re.compile(r"(?P<patient>.+)_4d", re.IGNORECASE)


class VolumeFile(FileForm, VolumeForm):
    """Volumes as single files, or as a header with its voxels beside it.

    NIfTI, Analyze (``.hdr`` with ``.img``) and FreeSurfer's ``.mgz`` need nothing beside this package; ``.nrrd``,
    ``.mha`` and ``.mhd`` need ``itk``.
    """

    name: ClassVar[str] = "volume_file"
    extensions: ClassVar[tuple[str, ...]] = EXTENSIONS

    def holds(self, path: Path) -> bool:
        """See the base class: the voxels beside a header, too."""
        headers = {".img": ".hdr", ".raw": ".mhd", ".zraw": ".mhd"}
        header = headers.get(path.suffix.lower())
        return self.takes(path) if header is None else path.with_suffix(header).is_file()

    def fingerprint(self, item: Item) -> str:
        """See the base class: of the header and of the voxels beside it, where they are two files."""
        voxels, header = data_file(Path(item["image"])), file_sha256(item["image"])
        return header if voxels is None else hashlib.sha256((header + file_sha256(voxels)).encode()).hexdigest()

    def find_images(self, search: Search) -> list[Path]:
        """See the base class; ACDC's ``_4d`` cines are left out where their frames lie beside them."""
        return _drop_cines(super().find_images(search))

    def read_image(self, item: Item, frames: Frames = "all") -> MetaTensor:
        """See the base class and :func:`read_volume`."""
        return read_volume(item["image"], frames)

    def read_mask(self, item: Item) -> MetaTensor:
        """See the base class."""
        return read_volume(item["label"])

    def numbering(self, item: Item, label_map: LabelMap) -> LabelMap:
        """As the file's label table says, if it has one, else as the data set's own files.

        Raises:
            BadCaseError: when the table names other classes.
        """
        path = item["label"]
        with as_bad_case(
            f"{path}: found a table of classes in its header that can't be read",
            "allowed: none, or one as this program writes it; fix: save the mask again without header extensions",
        ):
            table = read_label_table(open_nifti(path)) if is_nifti(path) else {}
        if not table:
            return label_map
        if table != label_map.foreground:
            raise BadCaseError(
                f"{path}: found the classes {table} in its header; allowed: {label_map.foreground} of "
                f"{label_map.name}; fix: choose the label map that the file was made with"
            )
        return label_map.of_class_numbers()

    def _is_on_grid(self, mask: nib.Nifti1Image, item: Item) -> bool:
        if not is_nibabel(item["image"]):
            return True
        image = open_nibabel(item["image"])
        shape = (*image.shape, 1, 1)[:3]
        return mask.shape == image.shape and is_same_grid(mask.affine, image.affine, shape)


def _drop_cines(images: list[Path]) -> list[Path]:
    framed = {
        (path.parent, without_extension(path, EXTENSIONS).split("_frame")[0])
        for path in images
        if "_frame" in path.name
    }

    def is_doubled(path: Path) -> bool:
        match = _CINE.fullmatch(without_extension(path, EXTENSIONS))
        return match is not None and (path.parent, match["patient"]) in framed

    return [path for path in images if not is_doubled(path)]
