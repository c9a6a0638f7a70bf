# SPDX-License-Identifier: Apache-2.0
"""Largest pieces by hand, through time, and against scikit-image's labelling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from pranet_monai.forms.grid import FRAMES
from pranet_monai.forms.remarks import remarks_of
from pranet_monai.transforms.components import LargestComponentsd, largest_components
from skimage import measure


def test_by_hand() -> None:
    labels = np.array([[1, 1, 0, 2, 0, 1], [0, 0, 0, 0, 2, 0], [3, 0, 3, 3, 0, 0]], np.uint8)
    expected = np.array([[1, 1, 0, 2, 0, 0], [0, 0, 0, 0, 2, 0], [0, 0, 3, 3, 0, 0]], np.uint8)
    found = largest_components(labels)
    np.testing.assert_array_equal(found, expected)  # the 2s share a corner
    assert found.dtype == np.uint8


def test_empty_mask_stays_empty() -> None:
    assert not largest_components(np.zeros((1, 4, 4, 2), np.uint8)).any()


def test_frames_of_a_cine_are_one_piece() -> None:
    cine = np.zeros((2, 5, 5, 1), np.uint8)
    cine[0, 0:3, 0:3] = 1  # the organ
    cine[0, 4, 4] = 1  # a stray voxel, in one frame only
    cine[1, 1:3, 1:3] = 1  # the organ, smaller
    found = LargestComponentsd("pred")({"pred": MetaTensor(torch.as_tensor(cine))})["pred"]
    expected = cine.copy()
    expected[0, 4, 4] = 0
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.dtype == torch.uint8


@pytest.mark.parametrize(("stray", "is_named"), [(9, True), (4, False)])
def test_a_frame_that_loses_more_than_half_of_an_organ_is_named(
    caplog: pytest.LogCaptureFixture, stray: int, is_named: bool
) -> None:
    cine = np.zeros((3, 12, 12, 1), np.uint8)
    cine[:, 0:2, 0:2] = 2  # 4 voxels in each frame, together in time
    cine[1, 9:12, 9:12, 0] = (np.arange(9) < stray).reshape(3, 3) * 2
    mask = MetaTensor(torch.as_tensor(cine), meta={FRAMES: np.array([0, 4, 9])})
    found = LargestComponentsd("pred")({"pred": mask, "case": "q"})["pred"]
    said = f"frame 5: {stray} of {stray + 4} voxels of class 2 aren't part of its largest piece through time and"
    assert [said in text for text in remarks_of(found)] == [True] * is_named
    assert (f"q: {said}" in caplog.text) == is_named


def test_a_single_volume_loses_its_strays_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    volume = np.zeros((1, 9, 9, 1), np.uint8)
    volume[0, 0], volume[0, 2, :5], volume[0, 4, :5] = 1, 1, 1
    found = LargestComponentsd("pred")({"pred": MetaTensor(torch.as_tensor(volume))})["pred"]
    assert int(found.sum()) == 9 and not caplog.text and not remarks_of(found)


def test_metadata_and_steps_to_invert_stay() -> None:
    mask = MetaTensor(torch.ones(1, 3, 3, 3, dtype=torch.uint8), affine=torch.diag(torch.tensor([2.0, 2.0, 5.0, 1.0])))
    mask.meta["filename_or_obj"] = "a.nii.gz"
    mask.push_applied_operation({"class": "Orientation"})
    found = LargestComponentsd("pred")({"pred": mask})["pred"]
    torch.testing.assert_close(found.affine, mask.affine)
    assert found.meta["filename_or_obj"] == "a.nii.gz"
    assert found.applied_operations == mask.applied_operations


@pytest.mark.parametrize("seed", range(3))
def test_equals_another_labelling(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, (14, 12, 5)).astype(np.uint8)
    labels[np.random.default_rng(seed + 10).random(labels.shape) < 0.6] = 0
    expected = np.zeros_like(labels)
    for index in (1, 2, 3):
        pieces = measure.label(labels == index)
        expected[pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])] = index
    np.testing.assert_array_equal(largest_components(labels), expected)
