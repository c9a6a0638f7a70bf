# SPDX-License-Identifier: Apache-2.0
"""Reading the arrays that papers pass on in place of a data set: preprocessed slices and volumes in .npz and .h5."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import optional_import

from pranet_monai.errors import BadCaseError
from pranet_monai.transforms.files import unreadable_is_a_bad_case
from pranet_monai.transforms.load import ORIGINAL_SHAPE, finite_voxels, volume_tensor

__all__ = ["ARRAY_EXTENSIONS", "LoadArrayd"]

ARRAY_EXTENSIONS = (".npy.h5", ".h5", ".npz")

# what a file calls the array that we know by the key
_NAMES: dict[str, tuple[str, ...]] = {"image": ("image", "img"), "label": ("label",)}


class LoadArrayd(MapTransform):
    """Loads arrays as MetaTensors (1, H, W, D), float32, such as ``LoadVolumed`` gives for the volume they came from.

    A slice (H, W) becomes (1, H, W, 1), a volume (D, H, W), slices first, becomes (1, H, W, D). Image and label are
    arrays of one file: give its path under both keys.

    **These files have no geometry.** Voxels count as 1 mm cubes, so lengths and volumes are in voxels: only the
    overlap measures, and those of ``protocol="paper"``, mean something. Intensities are as the file holds them; those
    of Synapse are in [0, 1] already, so leave the scaling out.

    Args:
        keys: keys of the files: ``"image"`` reads the array called image or img, ``"label"`` that called label, any
            other key the array of its own name.
        axcodes: where the axes H, W, D point, as far as it is known: ``"LAS"`` for Synapse, in the order of its
            original files.
        allow_missing_keys: don't fail where a key isn't there.

    Raises:
        BadCaseError: when the file can't be read to its end, has no array of that name, or one that isn't 2D or 3D or
            holds something else than finite numbers. ``.h5`` needs ``h5py``.
    """

    def __init__(self, keys: KeysCollection, axcodes: str = "RAS", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.affine = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(axcodes), (1, 1, 1))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The data with arrays in place of file names."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self._load(str(d[key]), _NAMES.get(str(key), (str(key),)))
        return d

    def _load(self, path: str, names: Sequence[str]) -> MetaTensor:
        array = _read(path, names)
        if array.ndim not in (2, 3) or array.dtype.kind not in "biuf" or not array.size:
            raise BadCaseError(
                f"{path}: found an array of type {array.dtype} and shape {array.shape}; allowed: numbers, (H, W) or "
                "(D, H, W), no axis of size 0; fix: preprocess the case again"
            )
        voxels = finite_voxels(path, torch.from_numpy(array.astype(np.float32)))
        slices = voxels[None] if voxels.ndim == 2 else voxels
        return volume_tensor(
            path, slices.permute(1, 2, 0)[None], self.affine, {ORIGINAL_SHAPE: np.asarray(array.shape)}
        )


def _read(path: str, names: Sequence[str]) -> np.ndarray:
    """The first array of these names."""
    if not Path(path).is_file():
        raise BadCaseError(f"{path}: found no such file; fix: check the path and the links in the folder")
    unreadable = f"{path}: found {Path(path).stat().st_size} bytes that can't be read"
    advice = "allowed: a whole .npz or .h5 file of arrays; fix: copy it again"
    with unreadable_is_a_bad_case(unreadable, advice), _open(path) as arrays:
        found = sorted(arrays)
        name = next((name for name in names if name in found), None)
        if name is not None:
            return np.asarray(arrays[name])
    raise BadCaseError(f"{path}: found arrays {', '.join(found) or '(none)'}; allowed: one called {' or '.join(names)}")


def _open(path: str) -> Any:
    """The file's arrays by name, to be closed."""
    if not path.lower().endswith(".h5"):
        return np.load(path)
    h5py, has_h5py = optional_import("h5py")
    if not has_h5py:
        raise BadCaseError(f"{path}: found no reader for this kind of file; fix: pip install h5py")
    return h5py.File(path, "r")
