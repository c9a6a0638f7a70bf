# SPDX-License-Identifier: Apache-2.0
"""Largest pieces by hand, through time, and against scikit-image's labelling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from skimage import measure

from pranet_monai.transforms.components import LargestComponentsd, largest_components


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
