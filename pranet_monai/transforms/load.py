# SPDX-License-Identifier: Apache-2.0
"""Reading volumes: whatever the file holds, the network's side sees (C, H, W, D), and a bad file says what is wrong."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.config import KeysCollection, PathLike
from monai.data import ImageReader, MetaTensor, NibabelReader
from monai.transforms import LoadImaged
from monai.utils import ImageMetaKey, MetaKeys, ensure_tuple, optional_import

from pranet_monai.errors import BadCaseError
from pranet_monai.transforms.files import check_gzip, is_nifti, open_nifti, unreadable_is_a_bad_case, volume_extension

__all__ = ["FRAMES", "ORIGINAL_SHAPE", "LoadVolumed", "finite_voxels", "read_volume", "volume_tensor"]

ORIGINAL_SHAPE = "original_shape"
"""Meta key: shape of the file's own array, (H, W), (H, W, D) or (H, W, D, T)."""

FRAMES = "frames"
"""Meta key: the frames of a 4D file that became the channels; absent for 2D and 3D."""


class NiftiReader(NibabelReader):
    """MONAI's NIfTI reader without its silent change of affines that disagree with the voxel sizes.

    The mask goes back with the header of the file, so the image must be seen where that header puts it.
    """

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> nib.Nifti1Image:
        """Opens one file; its voxels are read by ``get_data``."""
        self.filenames = ensure_tuple(data)
        path = self.filenames[0]
        if str(path).lower().endswith(".gz"):
            check_gzip(path)
        return open_nifti(path)

    def _get_array_data(self, img: nib.Nifti1Image, filename: str) -> np.ndarray:
        dtype = img.get_data_dtype()
        if dtype.kind not in "iuf":
            raise BadCaseError(
                f"{filename}: found voxels of type {dtype}; allowed: one real number per voxel; "
                "fix: save one channel, or the magnitude"
            )
        return super()._get_array_data(img, filename)


class LoadVolumed(LoadImaged):
    """Loads volumes as MetaTensors (C, H, W, D), float32, with every surprise of the file ruled out or named.

    - a 2D image (H, W) becomes (1, H, W, 1), a 3D one (1, H, W, D), a 4D cine (H, W, D, T) becomes (T, H, W, D);
    - ``meta["original_shape"]`` and ``meta["original_affine"]`` hold what the mask must go back to, ``meta["frames"]``
      which frames of a cine were taken;
    - NIfTI needs nothing beside this package; ``.nrrd`` and ``.mha`` need ``itk`` (or ``pynrrd`` for ``.nrrd``).

    Args:
        keys: keys of the files to load.
        frames: of a 4D file: ``"all"``, one index or a list of them, counted from 0. Ignored for 2D and 3D.
        allow_missing_keys: don't fail where a key isn't there.

    Raises:
        BadCaseError: when the file can't be read to its end, isn't 2D to 4D, has an axis of size 0, voxels that are
            no finite real numbers, or an affine that can't be inverted.
    """

    def __init__(
        self,
        keys: KeysCollection,
        frames: str | int | Sequence[int] = "all",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, dtype=np.float32, image_only=True, allow_missing_keys=allow_missing_keys)
        self.register(NiftiReader())
        if isinstance(frames, str) and frames != "all":
            raise ValueError(f"frames={frames!r}: allowed are 'all', an index, or a list of indices")
        self.frames = frames if isinstance(frames, str) else tuple(np.atleast_1d(frames).tolist())

    def __call__(self, data: Mapping[Hashable, Any], reader: ImageReader | None = None) -> dict[Hashable, Any]:
        """Loads the file of every key; see the class."""
        d = dict(data)
        for key, meta_key, postfix in self.key_iterator(d, self.meta_keys, self.meta_key_postfix):
            volume = self._load(str(d[key]), reader)
            d[key] = volume
            if not self._loader.image_only:  # MONAI Label asks for the metadata beside the image
                d[meta_key or f"{key}_{postfix}"] = volume.meta
        return d

    def _load(self, path: str, reader: ImageReader | None) -> MetaTensor:
        _check_readable(path)
        with unreadable_is_a_bad_case(
            f"{path}: found {Path(path).stat().st_size} bytes that can't be read as a volume",
            "allowed: a whole NIfTI, NRRD or MetaImage file; fix: copy or export it again",
        ):
            loaded = self._loader(path, reader)
        image = loaded if self._loader.image_only else loaded[0]
        _check_shape(path, tuple(image.shape))
        affine = _checked_affine(path, image)
        array = finite_voxels(path, image.as_tensor())
        meta = {**image.meta, ORIGINAL_SHAPE: np.asarray(array.shape)}
        if array.ndim == 4:
            frames = _chosen_frames(path, self.frames, array.shape[3])
            array = array[..., frames].permute(3, 0, 1, 2)
            meta[FRAMES] = np.asarray(frames)
        else:
            array = array.reshape(1, *array.shape, *(1,) * (3 - array.ndim))
        return volume_tensor(path, array, affine, meta)


def read_volume(path: str | Path) -> MetaTensor:
    """One file as :class:`LoadVolumed` reads it, (C, H, W, D).

    Raises:
        BadCaseError: as LoadVolumed.
    """
    return _loader()({"volume": str(path)})["volume"]


@cache
def _loader() -> LoadVolumed:
    """One for all files: MONAI looks for its readers' packages whenever a loader is made."""
    return LoadVolumed("volume")


def volume_tensor(path: str, array: torch.Tensor, affine: np.ndarray, meta: Mapping[str, Any]) -> MetaTensor:
    """What every loader of volumes gives: the array with where it came from and where its voxels lie.

    Args:
        path: of the file, or of the folder of a series.
        array: (C, H, W, D) float32.
        affine: voxel to RAS mm, 4 x 4.
        meta: whatever else is known.
    """
    return MetaTensor(
        array.contiguous(),
        meta={
            **meta,
            MetaKeys.SPATIAL_SHAPE: np.asarray(array.shape[1:]),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
            MetaKeys.ORIGINAL_AFFINE: affine,
            MetaKeys.AFFINE: torch.as_tensor(affine),
            ImageMetaKey.FILENAME_OR_OBJ: path,
        },
    )


def _check_readable(path: str) -> None:
    if not Path(path).is_file():
        raise BadCaseError(f"{path}: found no such file; fix: check the path and the links in the folder")
    readers = {".nrrd": ("itk", "nrrd"), ".mha": ("itk",)}.get(volume_extension(path), ())
    if readers and not any(optional_import(reader)[1] for reader in readers):
        raise BadCaseError(
            f"{path}: found no reader for this kind of file; fix: pip install itk, or convert to .nii.gz"
        )


def _check_shape(path: str, shape: tuple[int, ...]) -> None:
    if 0 in shape:
        raise BadCaseError(f"{path}: found shape {shape} with an axis of size 0; allowed: ≥ 1; fix: export it again")
    # a fourth axis is time in NIfTI, but colour or a vector in the other kinds
    if len(shape) not in ((2, 3, 4) if is_nifti(path) else (2, 3)):
        raise BadCaseError(
            f"{path}: found an array of {len(shape)} dimensions, shape {shape}; allowed: 2 (one slice), 3 (a volume), "
            "in NIfTI also 4 (a cine, time last); fix: split it into volumes"
        )


def _checked_affine(path: str, image: MetaTensor) -> np.ndarray:
    """The file's own voxel-to-RAS matrix, 4 x 4 float64."""
    found = np.asarray(image.meta.get(MetaKeys.ORIGINAL_AFFINE, image.affine), dtype=np.float64)
    affine = np.eye(4)
    rank = found.shape[0] - 1
    affine[:rank, :rank], affine[:rank, 3] = found[:rank, :rank], found[:rank, rank]
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise BadCaseError(
            f"{path}: found an affine that gives voxels no place in space: {affine.round(6).tolist()}; allowed: three "
            "independent axes in mm; fix: repair the header's sform or qform, or export the file again"
        )
    return affine


def finite_voxels(path: str, voxels: torch.Tensor) -> torch.Tensor:
    """The voxels in float32.

    Raises:
        BadCaseError: when some are no finite numbers.
    """
    array = voxels.to(torch.float32)
    finite = torch.isfinite(array)
    if not finite.all():
        nans = int(torch.isnan(array).sum())
        infinite = int((~finite).sum()) - nans
        raise BadCaseError(
            f"{path}: found {nans} NaN and {infinite} infinite voxels of {array.numel()}; allowed: finite numbers; "
            "fix: replace them by the background's value and save the file again"
        )
    return array


def _chosen_frames(path: str, frames: str | tuple[int, ...], count: int) -> list[int]:
    if isinstance(frames, str):
        return list(range(count))
    outside = [frame for frame in frames if not 0 <= frame < count]
    if outside:
        raise BadCaseError(f"{path}: found {count} frames, asked for {outside}; allowed: 0 to {count - 1}")
    return list(frames)
