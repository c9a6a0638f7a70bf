# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pranet_monai.transforms.zoom import ZoomPlanesd, zoom_planes
from scipy.ndimage import zoom

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "zoom.npz")
SIDES = st.integers(1, 70)


def scipy_zoom(plane: np.ndarray, size: tuple[int, int], order: int) -> np.ndarray:
    return zoom(plane, (size[0] / plane.shape[0], size[1] / plane.shape[1]), order=order)


def test_cubic_reproduces_the_recorded_image() -> None:
    image = torch.from_numpy(GOLDEN["x"].astype(np.float32))
    np.testing.assert_allclose(zoom_planes(image, (224, 224), order=3)[::3, ::3], GOLDEN["z3"], atol=2e-6)


def test_nearest_reproduces_the_recorded_labels() -> None:
    labels = torch.from_numpy(GOLDEN["lab"])
    np.testing.assert_array_equal(zoom_planes(labels, (512, 512), order=0)[::3, ::3], GOLDEN["z0"])


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_any_size_equals_scipy(height: int, width: int, new_height: int, new_width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    image = random.normal(size=(2, height, width))
    labels = random.integers(1, 200, size=(2, height, width), dtype=np.uint8)
    size = (new_height, new_width)
    cubic, nearest = (zoom_planes(torch.from_numpy(x), size, order) for x, order in ((image, 3), (labels, 0)))
    for item in range(2):
        np.testing.assert_allclose(cubic[item], scipy_zoom(image[item], size, 3), atol=1e-12)
        np.testing.assert_array_equal(nearest[item], scipy_zoom(labels[item], size, 0))


@pytest.mark.parametrize("order", [0, 3])
def test_last_row_that_scipy_leaves_empty_stays_empty(order: int) -> None:
    plane = np.ones((297, 8))
    expected = scipy_zoom(plane, (284, 8), order)
    assert (expected[-1] == 0).all(), "the case is chosen because scipy's rounding falls outside here"
    np.testing.assert_allclose(zoom_planes(torch.from_numpy(plane), (284, 8), order), expected, atol=1e-12)


@pytest.mark.parametrize("size", [(512, 224), (224, 512), (256, 224)])
def test_cubic_in_float32_equals_scipy_to_float32(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).uniform(-1, 1, (size[0], size[0])).astype(np.float32)
    resized = zoom_planes(torch.from_numpy(image), (size[1], size[1]), order=3)
    np.testing.assert_allclose(resized, scipy_zoom(image, (size[1], size[1]), 3), atol=4e-6)


def test_linear_equals_scipy() -> None:
    image = np.random.default_rng(0).uniform(-1, 1, (17, 30)).astype(np.float32)
    resized = zoom_planes(torch.from_numpy(image), (24, 13), order=1)
    np.testing.assert_allclose(resized, scipy_zoom(image, (24, 13), 1), atol=1e-6)


def test_slices_of_a_dictionary_each_by_their_order() -> None:
    image, label = torch.rand(1, 12, 10), torch.randint(0, 4, (1, 12, 10)).float()
    zoomed = ZoomPlanesd(["image", "label"], size=[8, 15], order=[3, 0])({"image": image, "label": label, "case": "a"})
    torch.testing.assert_close(zoomed["image"], zoom_planes(image, (8, 15), order=3))
    torch.testing.assert_close(zoomed["label"], zoom_planes(label, (8, 15), order=0))
    assert zoomed["case"] == "a"


def test_autocast_does_not_coarsen_the_products() -> None:
    image = torch.rand(3, 20, 30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        resized = zoom_planes(image, (31, 17), order=3)
    assert resized.dtype == torch.float32
    torch.testing.assert_close(resized, zoom_planes(image, (31, 17), order=3), rtol=0, atol=0)


def test_first_use_under_inference_mode_leaves_gradients_possible() -> None:
    with torch.inference_mode():
        zoom_planes(torch.rand(1, 13, 11), (9, 21), order=3)
    image = torch.rand(1, 13, 11, requires_grad=True)
    zoom_planes(image, (9, 21), order=3).sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0


def test_same_size_changes_nothing() -> None:
    image = torch.rand(2, 5, 6)
    assert zoom_planes(image, (5, 6), order=3) is image


@pytest.mark.parametrize(
    ("planes", "size", "order", "message"),
    [
        (torch.rand(4, 4), (8, 8), 2, "order 2"),
        (torch.ones(4, 4, dtype=torch.uint8), (8, 8), 1, "floating-point"),
        (torch.ones(4, 4, dtype=torch.uint8), (8, 8), 3, "floating-point"),
        (torch.rand(4, 4), (8, 0), 3, "positive"),
        (torch.rand(4, 0), (8, 8), 0, "at least one pixel"),
    ],
)
def test_wrong_use_is_named(planes: torch.Tensor, size: tuple[int, int], order: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zoom_planes(planes, size, order)
