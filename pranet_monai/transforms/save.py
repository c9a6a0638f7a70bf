# SPDX-License-Identifier: Apache-2.0
"""Writing masks: the input's own grid and header, label names inside, and never half a file."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import SaveImaged
from monai.utils import ImageMetaKey, MetaKeys

from pranet_monai.errors import BadCaseError
from pranet_monai.storage.atomic import written_whole
from pranet_monai.transforms.files import is_nifti, mask_path, open_nifti, volume_stem
from pranet_monai.transforms.label_table import label_table_extension, read_label_table
from pranet_monai.transforms.load import FRAMES, ORIGINAL_SHAPE

__all__ = ["SaveSegmentationd", "mask_on_file_grid"]


class SaveSegmentationd(SaveImaged):
    """Writes each mask as uint8 NIfTI with the shape, affine and header of the image it was made from.

    A 2D image gets a 2D mask, a 4D cine a 4D one (frames that weren't asked for stay 0). The header is that of the
    input file where it is NIfTI (qform, sform, their codes, voxel sizes, units); other kinds get a header made from
    their affine. The file is written under a hidden name and renamed when whole: a killed run leaves no half mask.

    Put it after ``Invertd``: it refuses a mask that isn't on the grid of its image. Being a ``SaveImaged``, it is left
    out by MONAI Label, which writes its own answer.

    Args:
        keys: keys of the masks, MetaTensors (1 or frames, H, W, D) with the metadata of ``LoadVolumed``.
        output_dir: masks go to ``<output_dir>/<case>_<postfix>.nii.gz``, where ``case`` is the item's ``case``,
            sub-folders included, or the image's file name where the item has none.
        labels: class number → name, for the label table in the header.
        colors: class number → red, green, blue in 0…255.
        output_postfix: see `output_dir`.
        allow_missing_keys: don't fail where a key isn't there.

    Raises:
        ValueError: when the mask isn't on the grid of its image.
        BadCaseError: when it would overwrite a file beside the image that no run of ours has written.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | Path,
        labels: Mapping[int, str],
        colors: Mapping[int, tuple[int, int, int]] | None = None,
        output_postfix: str = "seg",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(
            keys,
            output_dir=output_dir,
            output_postfix=output_postfix,
            output_dtype=np.uint8,
            separate_folder=False,
            print_log=False,
            allow_missing_keys=allow_missing_keys,
        )
        self.output_dir = Path(output_dir)
        self.output_postfix = output_postfix
        self.label_table = label_table_extension(labels, colors)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Writes the mask of every key; the data stays as it is."""
        d = dict(data)
        for key in self.key_iterator(d):
            mask: MetaTensor = d[key]
            source = Path(str(mask.meta[ImageMetaKey.FILENAME_OR_OBJ]))
            path = mask_path(self.output_dir, d.get("case", volume_stem(source)), self.output_postfix)
            _spare_foreign_file(path, source)
            image = _nifti(mask_on_file_grid(mask), np.asarray(mask.meta[MetaKeys.ORIGINAL_AFFINE]), source)
            image.header.extensions.append(self.label_table)
            with written_whole(path) as partial:
                nib.save(image, partial)
        return d


def mask_on_file_grid(mask: MetaTensor) -> np.ndarray:
    """The mask as the image's file holds its voxels.

    Args:
        mask: class numbers (1 or frames, H, W, D), turned back to the orientation of the file.

    Returns:
        uint8 array (H, W), (H, W, D) or (H, W, D, T).

    Raises:
        ValueError: when the mask isn't on the grid of its image.
    """
    shape = tuple(int(n) for n in np.asarray(mask.meta[ORIGINAL_SHAPE]))
    affine = np.asarray(mask.meta[MetaKeys.ORIGINAL_AFFINE])
    volume = (*shape, 1)[:3]
    if tuple(mask.shape[1:]) != volume or not np.allclose(np.asarray(mask.affine), affine, atol=1e-3):
        raise ValueError(
            f"{mask.meta[ImageMetaKey.FILENAME_OR_OBJ]}: found a mask of shape {tuple(mask.shape[1:])} and affine "
            f"{np.asarray(mask.affine).round(3).tolist()}; allowed: {volume} and {affine.round(3).tolist()}, the "
            "image's own; fix: put Invertd before SaveSegmentationd"
        )
    array = mask.numpy(force=True).astype(np.uint8, copy=False)
    if len(shape) < 4:
        return array[0].reshape(shape)
    whole = np.zeros(shape, dtype=np.uint8)
    whole[..., np.asarray(mask.meta[FRAMES]).astype(int)] = np.moveaxis(array, 0, -1)
    return whole


def _nifti(array: np.ndarray, affine: np.ndarray, source: Path) -> nib.Nifti1Image:
    if is_nifti(source):
        template = open_nifti(source)
        header = template.header.copy()
        header.extensions.clear()
        image = type(template)(array, template.affine, header)
    else:
        image = nib.Nifti1Image(array, affine)
        image.set_sform(affine, code="scanner")
        image.set_qform(affine, code="scanner")
        image.header.set_xyzt_units("mm", "sec")
    image.header.set_data_dtype(np.uint8)
    image.header.set_slope_inter(1, 0)
    image.header.set_intent("label")
    image.header["cal_min"] = image.header["cal_max"] = 0  # the image's display window means nothing for its mask
    return image


def _spare_foreign_file(path: Path, source: Path) -> None:
    """Masks written among the images may meet the expert's labels, which are often named alike."""
    if path.exists() and path.parent.resolve() == source.parent.resolve():
        try:
            ours = bool(read_label_table(open_nifti(path)))
        except (nib.filebasedimages.ImageFileError, OSError, EOFError):
            ours = True  # half a file is nobody's label
        if not ours:
            raise BadCaseError(
                f"{path}: found a file there that this program didn't write; fix: give an output_dir of its own"
            )
