# SPDX-License-Identifier: Apache-2.0
"""Series of DICOM files as cases, in whatever order and place they come: a folder, nested studies, a CD, a zip."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from monai.data import MetaTensor
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.base import CLASSES, DicomPaths, Frames, Item
from pranet_monai.forms.dicom.header import SEGMENTATION, read_headers
from pranet_monai.forms.dicom.pixels import read_voxels, stored_pixels
from pranet_monai.forms.dicom.places import (
    dicom_files,
    folder_of,
    is_dicom_place,
    is_readable_zip,
    open_file,
    relative_name,
    zips_in_zip,
)
from pranet_monai.forms.dicom.references import (
    LABELS,
    file_numbering,
    find_reference,
    is_segmentation,
    no_reference,
    read_mask_file,
)
from pranet_monai.forms.dicom.report import add_expected_dice, make_report, volumes_of
from pranet_monai.forms.dicom.segmentation import make_segmentation, save_object, source_datasets, written_provenance
from pranet_monai.forms.dicom.segments import drawn_on, numbered_segments, segment_classes, segment_names
from pranet_monai.forms.dicom.series import Series, series_in, series_of
from pranet_monai.forms.dicom.stack import Stack, build_stack
from pranet_monai.forms.grid import FRAMES, ORIGINAL_SHAPE, finite_voxels, volume_tensor
from pranet_monai.forms.provenance import Algorithm, Provenance
from pranet_monai.forms.remarks import REMARKS, add_remarks, with_remarks
from pranet_monai.forms.search import Search
from pranet_monai.forms.volume_form import VolumeForm, check_on_file_grid
from pranet_monai.forms.volume_reader import chosen_frames
from pranet_monai.storage.hashing import stream_sha256

__all__ = ["DicomSeries"]


class DicomSeries(VolumeForm):
    """Series of CT, MR or PET: classic files of one plane, enhanced ones of many, cines, in folders and in zips.

    H runs along the rows, W along the columns of the files' pictures, D along the normal of the slices, time after
    that. References are a segmentation object that names the series, a mask beside the series' folder as for volume
    files, or the label images of CHAOS: ``Ground/IMG-0004-00001.png`` to ``DICOM_anon/IMG-0004-00001.dcm``. Needs
    ``pip install "pranet-monai[dicom]"``.
    """

    name: ClassVar[str] = "dicom"
    patterns: ClassVar[tuple[str, ...]] = ("DICOM files (*.dcm or without extension)", "zips of them")
    writes_dicom: ClassVar[bool] = True

    # --- finding

    def takes(self, path: Path) -> bool:
        """See the base class: a file, a zip, or a folder with some in it."""
        return is_dicom_place(path)

    def files_are(self, path: Path) -> str:
        """See the base class."""
        return "DICOM"

    def holds(self, path: Path) -> bool:
        """See the base class: DICOM of any sort, of which :meth:`left_out` gives account, and CHAOS's label images."""
        return path.parent.name == LABELS or is_dicom_place(path)

    def find_images(self, search: Search) -> list[Path]:
        """See the base class."""
        return [Path(item["image"]) for item in self.find_items(search)]

    def find_items(self, search: Search) -> list[dict[str, Any]]:
        """See the base class; an item's ``files`` are those of its series."""
        found = [series for series in series_in(search) if not series.is_scout]
        users = defaultdict[str, int](int)
        for series in found:
            for folder in {folder_of(place) for place in series.files}:
                users[folder] += 1
        items = [self._item(series, search, users) for series in found]
        names = Counter(item["case"] for item in items)
        for item, series in zip(items, found, strict=True):
            if names[item["case"]] > 1:  # several series in a folder that cases are named by
                item["case"] += f"/{series.name(search.root, 'study').rpartition('/')[2]}"
        return items

    def _item(self, series: Series, search: Search, users: dict[str, int]) -> dict[str, Any]:
        folders = {folder_of(place) for place in series.files}
        alone = len(folders) == 1 and users[min(folders)] == 1 and search.only is None
        item: dict[str, Any] = {
            "case": series.name(search.root, search.series_names),
            "form": self.name,
            "image": min(folders) if alone else series.files[0],
            "files": series.files,
        }
        extra = {"volume": series.part, REMARKS: list(series.remarks), "error": series.error}
        return item | {key: value for key, value in extra.items() if value}

    def left_out(self, search: Search) -> dict[str, list[str]]:
        """See the base class: localizers, reports, segmentations of series that aren't here and so on."""
        series = series_in(search)
        images = [one for one in series if not one.is_scout]
        found: dict[str, list[str]] = {}
        for one in (one for one in series if one.is_scout):
            found.setdefault("DICOM localizer", []).extend(relative_name(place, search.root) for place in one.files)
        for header in read_headers(dicom_files(search.files)):
            if header.other and not (header.other == SEGMENTATION and drawn_on(header, images)):
                found.setdefault(f"DICOM {header.other}", []).append(relative_name(header.place, search.root))
        for path in search.with_extension((".zip",)):
            told = {"zip in a zip": zips_in_zip(path)}
            told |= {} if is_readable_zip(path) else {"zip that is damaged or encrypted": [str(path)]}
            for what, places in told.items():
                if places:
                    found.setdefault(what, []).extend(relative_name(place, search.root) for place in places)
        return found

    def case_name(self, image: Path, root: Path) -> str:
        """See the base class."""
        return _lone_series(str(image), read_files(str(image))).name(root, "study")

    def find_reference(self, item: Item, search: Search) -> Path | None:
        """See the base class."""
        return find_reference(item, _series(item), search)

    def no_reference(self, item: Item, search: Search) -> str:
        """See the base class."""
        return no_reference(item, search)

    def find_masks(self, search: Search) -> list[dict[str, Any]]:
        """See the base class: label images and segmentations lie where their series says."""
        pairs = [(item, self.find_reference(item, search)) for item in self.find_items(search) if "error" not in item]
        return [item | {"label": str(reference)} for item, reference in pairs if reference is not None]

    # --- reading

    def fingerprint(self, item: Item) -> str:
        """See the base class: of all files."""
        hashes = []
        for place in _series(item).files:
            with open_file(place) as file:
                hashes.append(stream_sha256(file))
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

    def read_image(self, item: Item, frames: Frames = "all") -> MetaTensor:
        """See the base class."""
        image, remarks = str(item["image"]), list(item.get(REMARKS, []))
        with with_remarks(remarks):
            stack = stack_of(item)
            remarks += stack.remarks
        with with_remarks(remarks):
            chosen = chosen_frames(image, frames, len(stack.frames)) if len(stack.frames) > 1 else [0]
            part = Stack(tuple(stack.frames[index] for index in chosen), stack.affine, ())
            voxels = finite_voxels(image, torch.from_numpy(read_voxels(image, part, remarks)))
        meta: dict[str, Any] = {ORIGINAL_SHAPE: np.asarray(stack.shape), REMARKS: remarks}
        meta |= {FRAMES: np.asarray(chosen)} if len(stack.frames) > 1 else {}
        return volume_tensor(image, voxels, stack.affine, meta)

    def class_names(self, item: Item) -> list[str]:
        """See the base class: those of a segmentation's segments."""
        return segment_names(str(item["label"])) if is_segmentation(str(item["label"])) else []

    def read_mask(self, item: Item) -> MetaTensor:
        """See the base class."""
        if not is_segmentation(str(item["label"])):
            return read_mask_file(item, stack_of(item))
        if not item.get(CLASSES):
            raise BadCaseError(
                f"{item['label']}: found a segmentation object where numbers alone are of use; allowed: .nii.gz and "
                "the like; fix: give the mask that lies beside it"
            )
        return numbered_segments(str(item["label"]), stack_of(item), item[CLASSES])

    def read_reference(self, item: Item, image: MetaTensor, label_map: LabelMap) -> np.ndarray:
        """See the base class."""
        if not is_segmentation(str(item["label"])):
            return super().read_reference(item, image, label_map)
        remarks: list[str] = []
        classes = segment_classes(str(item["label"]), stack_of(item), label_map, remarks)
        add_remarks(image, remarks)
        return classes[np.asarray(image.meta[FRAMES]).astype(int)] if FRAMES in image.meta else classes

    def numbering(self, item: Item, label_map: LabelMap) -> LabelMap:
        """See the base class."""
        return file_numbering(item, label_map)

    # --- writing

    def frame_count(self, item: Item) -> int:
        """See the base class."""
        return len(stack_of(item).frames)

    def write_dicom(
        self,
        item: Item,
        paths: Sequence[DicomPaths],
        mask: MetaTensor,
        label_map: LabelMap,
        made_by: Provenance,
        algorithm: Algorithm,
    ) -> None:
        """See the base class."""
        stack = stack_of(item)
        check_on_file_grid(mask)
        chosen = np.asarray(mask.meta[FRAMES]).astype(int).tolist() if FRAMES in mask.meta else [0]
        for classes, frame, path in zip(mask.numpy(force=True).astype(np.uint8), chosen, paths, strict=True):
            planes = stack.frames[frame]
            sources = source_datasets(planes)
            segmentation = make_segmentation(sources, planes, classes, label_map, made_by, algorithm)
            volumes_ml = volumes_of(classes, stack.affine, label_map)
            save_object(path.report, make_report(segmentation, sources, volumes_ml, label_map, algorithm))
            save_object(path.segmentation, segmentation)

    def note_quality(self, paths: DicomPaths, expected_dice: Mapping[str, float | None]) -> None:
        """See the base class."""
        if paths.report.is_file():
            add_expected_dice(paths.report, expected_dice)

    def dicom_is_whole(self, paths: DicomPaths, made_by: Provenance) -> bool:
        """See the base class."""
        return paths.report.is_file() and written_provenance(paths.segmentation) == made_by


def stack_of(item: Item) -> Stack:
    """The planes of a case in their order.

    Raises:
        BadCaseError: when they don't make a volume.
    """
    series, name = _series(item), str(item["image"])
    with with_remarks(series.remarks):
        return build_stack(name, series.planes, stored_pixels)


def read_files(image: str) -> list[str]:
    """The files of a case that is known by its folder, its zip or one of its files alone."""
    path = Path(image)
    if path.is_dir():
        return list(dicom_files(sorted(child for child in path.iterdir() if child.is_file())))
    return list(dicom_files([path])) if path.exists() else [image]


def _series(item: Item) -> Series:
    files = item.get("files")
    return _lone_series(
        str(item["image"]), read_files(str(item["image"])) if files is None else files, item.get("volume", 0)
    )


def _lone_series(name: str, files: Sequence[str], part: int = 0) -> Series:
    """The series that these files are.

    Raises:
        BadCaseError: they are none, or several.
    """
    every = [one for one in series_of(read_headers(files)) if not one.is_scout and one.part in (part, 0)]
    bad, found = [one for one in every if one.error], [one for one in every if not one.error]
    if len(every) == 1 and bad:
        raise BadCaseError(bad[0].error)
    if len(found) != 1:
        raise BadCaseError(
            f"{name}: found {len(found)} series of DICOM images; allowed: one; fix: name its folder or one of its "
            "files, or segment the whole folder"
        )
    return replace(found[0], remarks=(*found[0].remarks, *(f"left out: {one.error}" for one in bad)))
