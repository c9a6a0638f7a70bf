# SPDX-License-Identifier: Apache-2.0
"""What is laid over each other for a case: image, mask, reference, quality map; as a browser takes them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from monai.data import MetaTensor
from PIL import Image
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.forms import FORMS, Item, form_of
from pranet_monai.forms.grid import FRAMES, original_affine
from pranet_monai.forms.rgb_image import read_rgb
from pranet_monai.forms.run_folder import FRAME_ENDING, RunFolder
from pranet_monai.reports.previews import grey_range

__all__ = ["LAYERS", "CaseLayers"]

LAYERS = ("image", "mask", "reference", "unsure")
_OWN_VOLUMES = FORMS["volume_file"]  # masks and maps of a run are NIfTI, whatever form its volumes have
_OPACITY, _UNSURE_COLOR = 120, (255, 90, 0)
_NIFTI = "application/octet-stream"
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class CaseLayers:
    """The layers of a row of ``cases.csv``.

    Attributes:
        name: of the row.
        item: of its case.
        folder: of the run.
        label_map: of the masks.
    """

    name: str
    item: Item
    folder: RunFolder
    label_map: LabelMap

    @property
    def mask(self) -> Path:
        """The file of the mask: a DICOM segmentation where there is no other."""
        form, mask = form_of(self.item), self._own_mask
        return self.folder.dicom([self.name])[0].segmentation if form.writes_dicom and not mask.is_file() else mask

    @property
    def _own_mask(self) -> Path:
        """The file of the run's form, whether it is there or not."""
        return self.folder.mask(self.item["case"], form_of(self.item))

    @property
    def available(self) -> list[str]:
        """Which layers there are."""
        files = {
            "image": Path(str(self.item["image"]).partition("!/")[0]),
            "mask": self.mask,
            "reference": Path(str(self.item["label"]).partition("!/")[0]) if "label" in self.item else None,
            "unsure": self.folder.quality_map(self.item["case"], form_of(self.item)),
        }
        return [layer for layer in LAYERS if (path := files[layer]) is not None and path.exists()]

    def read(self, layer: str) -> tuple[bytes, str]:
        """A layer as the browser takes it, and what that is.

        Args:
            layer: one of :data:`LAYERS`; of "unsure" 0 is sure, 100 (of an image: opaque) not at all.

        Returns:
            Of a volume an uncompressed NIfTI file, (H, W, D) in the orientation of its file; of an image a PNG.

        Raises:
            BadCaseError: its file can't be read, or doesn't fit.
        """
        if form_of(self.item).kind == "image":
            return _png(getattr(self, f"_{layer}_picture")()), "image/png"
        voxels, affine = getattr(self, f"_{layer}_volume")()
        if layer == "image":
            return _nifti(_small(voxels), affine, grey_range(voxels)), _NIFTI
        return _nifti(voxels.astype(np.uint8), affine, (0, 0)), _NIFTI

    # --- volumes: the voxels of the row's frame, and where they lie

    @property
    def _frame(self) -> int:
        """Which frame of its case the row is; 0 where there is but one."""
        found = FRAME_ENDING.search(self.name) if self.name != self.item["case"] else None
        return int(found[0].rpartition("frame")[2]) - 1 if found else 0

    def _image_volume(self) -> tuple[np.ndarray, np.ndarray]:
        frames = "all" if self.name == self.item["case"] else self._frame
        image = form_of(self.item).read_image(self.item, frames)
        return image.numpy(force=True)[0], original_affine(image)

    def _mask_volume(self) -> tuple[np.ndarray, np.ndarray]:
        if self.mask == self._own_mask:
            return self._at_frame(_OWN_VOLUMES.read_mask({"label": str(self.mask)}))
        return self._classes_in(self.mask, self._grid())

    def _reference_volume(self) -> tuple[np.ndarray, np.ndarray]:
        return self._classes_in(self.item["label"], self._grid())

    def _unsure_volume(self) -> tuple[np.ndarray, np.ndarray]:
        path = self.folder.quality_map(self.item["case"], form_of(self.item))
        sure, affine = self._at_frame(_OWN_VOLUMES.read_image({"image": str(path)}))
        return (100 * (1 - sure)).round(), affine

    def _grid(self) -> MetaTensor:
        """What a reference has to lie on: the run's own mask, which is quick to read, else the volume itself."""
        if self.mask == self._own_mask:
            return _OWN_VOLUMES.read_mask({"label": str(self.mask)})
        return form_of(self.item).read_image(self.item, self._frame)

    def _classes_in(self, label: str | Path, volume: MetaTensor) -> tuple[np.ndarray, np.ndarray]:
        """The classes that a reference or a segmentation holds, on the grid of a volume."""
        label_map = get_label_map(self.item.get("label_map", self.label_map))
        classes = form_of(self.item).read_reference({**self.item, "label": str(label)}, volume, label_map)
        frames = np.asarray(volume.meta.get(FRAMES, [0])).astype(int).tolist()
        return classes[frames.index(self._frame)], original_affine(volume)

    def _at_frame(self, volume: MetaTensor) -> tuple[np.ndarray, np.ndarray]:
        return volume.numpy(force=True)[self._frame if FRAMES in volume.meta else 0], original_affine(volume)

    # --- images: colours (H, W, 3), or (H, W, 4) for what lies over them

    def _image_picture(self) -> np.ndarray:
        return read_rgb(self.item["image"])

    def _mask_picture(self) -> np.ndarray:
        return self._colored(self.mask)

    def _reference_picture(self) -> np.ndarray:
        return self._colored(Path(self.item["label"]))

    def _unsure_picture(self) -> np.ndarray:
        sure = read_rgb(self.folder.quality_map(self.item["case"], form_of(self.item)))[..., 0]
        return _tinted(255 - sure, _UNSURE_COLOR)

    def _colored(self, mask: Path) -> np.ndarray:
        classes = form_of(self.item).read_mask({**self.item, "label": str(mask)}).numpy(force=True)[0]
        return _tinted((classes > 0) * _OPACITY, self.label_map.colors[1])


def _tinted(opacity: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """One colour (H, W, 4), more or less opaque."""
    picture = np.empty((*opacity.shape, 4), np.uint8)
    picture[..., :3], picture[..., 3] = color, opacity
    return picture


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _nifti(voxels: np.ndarray, affine: np.ndarray, shown: tuple[float, float]) -> bytes:
    """A NIfTI file with the grey values that are shown black and white, and nothing of a patient, in its header."""
    image = nib.Nifti1Image(voxels, affine)
    image.header["cal_min"], image.header["cal_max"] = shown
    data: bytes = image.to_bytes()
    return data


def _small(voxels: np.ndarray) -> np.ndarray:
    """The voxels in the smallest type that holds them exactly: all of them go to the graphics card."""
    fits = voxels.min() >= _INT16.min and voxels.max() <= _INT16.max and np.array_equal(voxels, np.rint(voxels))
    return voxels.astype(np.int16 if fits else np.float32)
