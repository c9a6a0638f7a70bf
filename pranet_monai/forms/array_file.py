# SPDX-License-Identifier: Apache-2.0
"""The arrays that papers pass on in place of a data set: preprocessed slices and volumes in .npz and .h5 files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import optional_import
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.base import Frames, Item
from pranet_monai.forms.claims import check_memory
from pranet_monai.forms.file_form import FileForm
from pranet_monai.forms.files import as_bad_case, check_is_there
from pranet_monai.forms.grid import ORIGINAL_SHAPE, finite_voxels, volume_tensor
from pranet_monai.forms.search import Search
from pranet_monai.forms.volume_form import VolumeForm

__all__ = ["ArrayFile"]

EXTENSIONS = (".npy.h5", ".h5", ".npz")
IMAGE_NAMES, LABEL_NAMES = ("image", "img"), ("label",)


class ArrayFile(FileForm, VolumeForm):
    """Image and reference as arrays of one file. A slice (H, W) is read as (1, H, W, 1), a volume (D, H, W), slices
    first, as (1, H, W, D).

    **These files have no geometry.** Voxels count as 1 mm cubes, so lengths and volumes are in voxels: only the overlap
    measures, and those of ``protocol="paper"``, mean something.

    What is known of a data set's files stands in its items, put there by its layout: ``axcodes``, where the axes H, W,
    D point ("RAS" where nothing is said), and ``intensity``, slope and intercept that give back the original's values.
    """

    name: ClassVar[str] = "array_file"
    extensions: ClassVar[tuple[str, ...]] = EXTENSIONS
    has_spacing: ClassVar[bool] = False

    def holds(self, path: Path) -> bool:
        """See the base class: files without an image array are none."""
        return self.takes(path) and _may_hold(path, IMAGE_NAMES)

    def find_images(self, search: Search) -> list[Path]:
        """See the base class; files without an image array (as nnU-Net's probabilities) are none."""
        return [path for path in search.with_extension(EXTENSIONS) if _may_hold(path, IMAGE_NAMES)]

    def find_reference(self, item: Item, search: Search) -> Path | None:
        """See the base class: the same file, where it holds both."""
        image = Path(item["image"])
        return image if _may_hold(image, LABEL_NAMES) else None

    def find_references(self, search: Search) -> list[Path]:
        """See the base class: none lies by itself."""
        return []

    def find_masks(self, search: Search) -> list[dict[str, Any]]:
        """See the base class."""
        return [item for item in super().find_masks(search) if _may_hold(Path(item["label"]), LABEL_NAMES)]

    def read_image(self, item: Item, frames: Frames = "all") -> MetaTensor:
        """See the base class."""
        image = _volume(str(item["image"]), IMAGE_NAMES, item)
        slope, intercept = item.get("intensity", (1.0, 0.0))
        return image if (slope, intercept) == (1.0, 0.0) else image * slope + intercept

    def read_mask(self, item: Item) -> MetaTensor:
        """See the base class."""
        return _volume(str(item["label"]), LABEL_NAMES, item)


def _volume(path: str, names: Sequence[str], item: Item) -> MetaTensor:
    array = _read(path, names)
    exact = array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
    voxels = finite_voxels(path, torch.from_numpy(exact))
    slices = (voxels[None] if voxels.ndim == 2 else voxels).permute(1, 2, 0)
    orientation = nib.orientations.axcodes2ornt(item.get("axcodes", "RAS"))
    affine = nib.orientations.inv_ornt_aff(orientation, (1, 1, 1))
    shape = slices.shape[:2] if voxels.ndim == 2 else slices.shape  # as a NIfTI file of it would have
    return volume_tensor(path, slices[None], affine, {ORIGINAL_SHAPE: np.asarray(shape)})


def _may_hold(path: Path, names: Sequence[str]) -> bool:
    """Whether a file holds an array of these names; one that can't be opened may, so that its error is told."""
    try:
        with _open(str(path)) as arrays:
            return any(name in arrays for name in names)
    except Exception:  # noqa: BLE001 - whatever is wrong with the file is said when it is read
        return True


def _read(path: str, names: Sequence[str]) -> np.ndarray:
    """The first array of these names."""
    check_is_there(path)
    unreadable = f"{path}: found {Path(path).stat().st_size} bytes that can't be read"
    advice = "allowed: a whole .npz or .h5 file of arrays; fix: copy it again"
    with as_bad_case(unreadable, advice), _open(path) as arrays:
        found = sorted(arrays)
        name = next((name for name in names if name in found), None)
        if name is not None:
            shape, dtype = _claim(arrays, name)
            _check_claim(path, shape, dtype)
            check_memory(path, shape)
            return np.asarray(arrays[name])
    raise BadCaseError(f"{path}: found arrays {', '.join(found) or '(none)'}; allowed: one called {' or '.join(names)}")


def _claim(arrays: Any, name: str) -> tuple[tuple[int, ...], np.dtype | None]:
    """Shape and type by the array's header alone."""
    if not isinstance(arrays, np.lib.npyio.NpzFile) or arrays.zip is None:
        return tuple(getattr(arrays[name], "shape", None) or ()), getattr(arrays[name], "dtype", None)
    with arrays.zip.open(f"{name}.npy") as member:
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        version = np.lib.format.read_magic(member)
        if version not in read:
            raise ValueError(f"array format {version}")
        shape, _, dtype = read[version](member)
        return tuple(shape), dtype


def _check_claim(path: str, shape: tuple[int, ...], dtype: np.dtype | None) -> None:
    objects = ": it holds Python objects, which aren't loaded" if dtype is not None and dtype.hasobject else ""
    if len(shape) not in (2, 3) or dtype is None or dtype.kind not in "biuf" or 0 in shape:
        raise BadCaseError(
            f"{path}: found an array of type {dtype} and shape {shape}{objects}; allowed: numbers, (H, W) or "
            "(D, H, W), no axis of size 0; fix: preprocess the case again"
        )


def _open(path: str) -> Any:
    """The file's arrays by name, to be closed."""
    if not path.lower().endswith(".h5"):
        return np.load(path)
    h5py, has_h5py = optional_import("h5py")
    if not has_h5py:
        raise BadCaseError(f"{path}: found no reader for this kind of file; fix: pip install h5py")
    return h5py.File(path, "r")
