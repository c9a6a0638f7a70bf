# SPDX-License-Identifier: Apache-2.0
"""Experts' segmentations whose pictures lie otherwise than the series' own: turned onto them, or refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from monai.data import MetaTensor
from pranet_monai.errors import BadCaseError
from pydicom.dataset import Dataset

from tests.data.dicom_series import grid, numbers, write_series

from .masks import ACDC, DICOM, segmented

SHAPE = (9, 9, 4)
Turn = Callable[[np.ndarray], np.ndarray]
Change = Callable[[Dataset, np.ndarray], np.ndarray]
"""Gets the groups of a picture and its pixels (rows, columns), gives other pixels."""


def reference(folder: Path, change: Change) -> tuple[dict[str, Any], MetaTensor]:
    """A series with a segmentation of it, whose pictures are changed; the item that names both, and the mask."""
    write_series(folder / "in", numbers(SHAPE), grid((1.5, 1.5, 7), degrees=20))
    item, mask = segmented(folder / "in", folder / "out")
    path = folder / "out" / f"{item['case']}_seg.dcm"
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        groups.PlaneOrientationSequence = [copied(shared.PlaneOrientationSequence[0])]
        groups.PixelMeasuresSequence = [copied(shared.PixelMeasuresSequence[0])]
    del shared.PlaneOrientationSequence, shared.PixelMeasuresSequence
    pictures = [
        change(groups, picture)
        for groups, picture in zip(dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True)
    ]
    dataset.PixelData = pydicom.pixels.pack_bits(np.stack(pictures).ravel())
    dataset.save_as(folder / "expert.dcm")
    return {**item, "label": str(folder / "expert.dcm")}, mask


def copied(dataset: Dataset) -> Dataset:
    return pydicom.Dataset.from_json(dataset.to_json())


def moved_to(groups: Dataset, columns: int, rows: int, along_row: int, along_column: int, swap: bool) -> None:
    """Says that the first pixel is another corner, and which ways rows and columns run from there."""
    orientation, position = groups.PlaneOrientationSequence[0], groups.PlanePositionSequence[0]
    row, column = np.asarray(orientation.ImageOrientationPatient, float).reshape(2, 3)
    corner = np.asarray(position.ImagePositionPatient, float) + 1.5 * (columns * row + rows * column)
    directions = [along_row * row, along_column * column]
    orientation.ImageOrientationPatient = [f"{x:.9f}" for x in np.ravel(directions[::-1] if swap else directions)]
    position.ImagePositionPatient = [f"{x:.8g}" for x in corner]


def unnamed(groups: Dataset) -> None:
    if "DerivationImageSequence" in groups:
        del groups.DerivationImageSequence


# how the pixels are stored, and which corner then is the first one
TURNS: dict[str, tuple[Turn, tuple[int, int, int, int, bool]]] = {
    "columns from the right": (np.fliplr, (8, 0, -1, 1, False)),
    "rows from below": (np.flipud, (0, 8, 1, -1, False)),
    "both": (lambda picture: picture[::-1, ::-1], (8, 8, -1, -1, False)),
    "rows for columns": (np.transpose, (0, 0, 1, 1, True)),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("is_named", [True, False], ids=["named", "by place"])
def test_the_same_object_stored_in_another_order(tmp_path: Path, turn: str, is_named: bool) -> None:
    stored, corner = TURNS[turn]

    def change(groups: Dataset, picture: np.ndarray) -> np.ndarray:
        moved_to(groups, *corner)
        if not is_named:
            unnamed(groups)
        return stored(picture)

    item, mask = reference(tmp_path, change)
    np.testing.assert_array_equal(DICOM.read_reference(item, mask, ACDC), mask.numpy())


def test_pictures_that_say_only_whose_they_are(tmp_path: Path) -> None:
    """The standard lets them leave out the place where they name their source."""

    def change(groups: Dataset, picture: np.ndarray) -> np.ndarray:
        del groups.PlaneOrientationSequence, groups.PixelMeasuresSequence, groups.PlanePositionSequence
        return picture

    item, mask = reference(tmp_path, change)
    np.testing.assert_array_equal(DICOM.read_reference(item, mask, ACDC), mask.numpy())


def mirrored_in_words_alone(groups: Dataset) -> None:
    moved_to(groups, 0, 0, -1, 1, False)


def of_other_pixels(groups: Dataset) -> None:
    groups.PixelMeasuresSequence[0].PixelSpacing = [1.5, 1.6]


def half_a_pixel_off(groups: Dataset) -> None:
    moved_to(groups, 0.5, 0, 1, 1, False)  # type: ignore[arg-type]


def a_little_turned(groups: Dataset) -> None:
    along = grid(degrees=30) @ np.diag([1 / 1.5, 1 / 1.25, 1, 1])
    groups.PlaneOrientationSequence[0].ImageOrientationPatient = [*-along[:2, 0], 0, *-along[:2, 1], 0]


@pytest.mark.parametrize("put", [mirrored_in_words_alone, of_other_pixels, half_a_pixel_off, a_little_turned])
@pytest.mark.parametrize("is_named", [True, False], ids=["named", "by place"])
def test_another_grid_is_refused(tmp_path: Path, put: Callable[[Dataset], None], is_named: bool) -> None:
    def change(groups: Dataset, picture: np.ndarray) -> np.ndarray:
        put(groups)
        if not is_named:
            unnamed(groups)
        return picture

    item, mask = reference(tmp_path, change)
    with pytest.raises(BadCaseError, match=r"expert\.dcm: found a picture at .* mm that .*fix: resample it onto them"):
        DICOM.read_reference(item, mask, ACDC)


def test_pictures_of_another_size_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    """A small file may claim, and unpack to, any number of pixels."""
    item, mask = reference(tmp_path, lambda groups, picture: picture)
    dataset = pydicom.dcmread(item["label"])
    dataset.Rows = dataset.Columns = 30000
    dataset.save_as(item["label"])
    with pytest.raises(BadCaseError, match=r"found pictures of \(30000, 30000\) pixels; allowed: \(9, 9\)"):
        DICOM.read_reference(item, mask, ACDC)
