# SPDX-License-Identifier: Apache-2.0
"""Planes that belong together, and planes that only look so: cines of one slice each, and planes moved sideways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pranet_monai.data.cases import find_cases
from pranet_monai.forms.remarks import remarks_of
from pranet_monai.transforms.load import LoadCased
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.data.dicom_series import grid, header, numbers, write_series

from .test_reading import refused


def cines(folder: Path, places: list[tuple[float, float, float]], thickness: float = 8.0) -> None:
    """A series of one slice, three times each, at each of these places (mm, RAS)."""
    study, reference = generate_uid(), generate_uid()

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.SliceThickness = str(thickness)

    for index, place in enumerate(places):
        shared, affine = header("MR", study, number=index + 1), grid()
        shared.FrameOfReferenceUID = reference
        affine[:3, 3] = place
        write_series(folder / f"s{index}", numbers((7, 9, 1, 3), index), affine, shared, change)


def shapes(folder: Path) -> list[tuple[int, ...]]:
    return [tuple(LoadCased("image")(item)["image"].shape) for item in find_cases(folder)]


@pytest.mark.parametrize("step", [(0, 0, 8), (0, 0, 10), (0.3, 0, 10), (0, 0, 24)])
def test_slices_along_their_normal_are_one_cine(tmp_path: Path, step: tuple[float, float, float]) -> None:
    cines(tmp_path, [tuple(k * np.asarray(step)) for k in range(3)])
    assert shapes(tmp_path) == [(3, 7, 9, 3)]


@pytest.mark.parametrize("step", [(20, 0, 0), (0, 0, 70), (0, 0, 25), (8, 0, 8), (3, 0, 10)])
@pytest.mark.parametrize("count", [2, 3])
def test_other_slices_are_cines_of_their_own(tmp_path: Path, step: tuple[float, float, float], count: int) -> None:
    """A field of view that was moved sideways, or two views of the heart that happen to be parallel."""
    cines(tmp_path, [tuple(k * np.asarray(step)) for k in range(count)])
    assert shapes(tmp_path) == [(3, 7, 9, 1)] * count


def test_planes_of_one_series_that_lie_side_by_side(tmp_path: Path) -> None:
    """There is no volume between them."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        dataset.ImagePositionPatient = [40.0 * k, 0, 0]

    write_series(tmp_path, numbers((7, 9, 2)), grid(), header("MR"), change)
    assert "found slices that follow each other at 90 degrees to their normal; allowed: up to 45" in refused(tmp_path)


def test_a_long_axis_cine_beside_a_stack_in_one_series(tmp_path: Path) -> None:
    shared = header("MR")
    write_series(tmp_path / "short", numbers((7, 9, 4, 5)), grid(), shared)
    write_series(tmp_path / "long", numbers((7, 9, 1, 5)), grid(degrees=80), shared)
    write_series(tmp_path / "scout", numbers((7, 9, 1)), grid(degrees=40), shared)
    volumes = [LoadCased("image")(item)["image"] for item in find_cases(tmp_path)]
    assert sorted(tuple(volume.shape) for volume in volumes) == [(5, 7, 9, 1), (5, 7, 9, 4)]
    for volume in volumes:
        assert "1 planes of other directions, sizes or spacings left out (scouts)" in remarks_of(volume)
        assert "one of 2 volumes of different directions, sizes or spacings in its series" in remarks_of(volume)
