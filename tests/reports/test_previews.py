# SPDX-License-Identifier: Apache-2.0
"""Pictures are right side up in every axis order, keep the voxels' proportions, and stay small and quick."""

from __future__ import annotations

import io
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from contourpy import contour_generator
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from PIL import Image
from pranet_monai.data.labels import get_label_map
from pranet_monai.reports import draw_preview
from pranet_monai.reports.previews import _boxes_of_labels, _grey, _outlines, _spread, organ_color
from pranet_monai.reports.views import View, voxel_sizes
from scipy.ndimage import find_objects, gaussian_filter

ACDC = get_label_map("acdc")
CODES = ["".join(code) for axes in permutations(("RL", "AP", "SI")) for code in product(*axes)]
RAS = np.array([[1.5, 0, 0, -9], [0, 2.0, 0, 4], [0, 0, 2.5, 7], [0, 0, 0, 1.0]])


def stored_as(volume: np.ndarray, affine: np.ndarray, codes: str) -> tuple[np.ndarray, np.ndarray]:
    """The same patient with the array's axes in another order, by nibabel."""
    change = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
    return apply_orientation(volume, change), affine @ inv_ornt_aff(change, volume.shape)


def marked() -> np.ndarray:
    """RAS volume with a marker at the patient's right, front and head."""
    volume = np.zeros((8, 9, 7), np.int16)
    volume[-1, -1, -1] = 1
    return volume


@pytest.mark.parametrize("codes", CODES)
def test_right_is_left_and_front_is_up_in_every_axis_order(codes: str) -> None:
    volume, affine = stored_as(marked(), RAS, codes)
    assert "".join(nib.aff2axcodes(affine)) == codes
    view = View.of(volume.shape, affine)
    shown = view.apply(volume)
    assert shown.shape == (9, 8, 7)
    assert shown[0, 0, 0] == 1
    assert (view.top, view.left) == ("A", "R")
    assert view.spacing == pytest.approx((2.0, 1.5, 2.5))


@pytest.mark.parametrize("codes", CODES)
def test_slice_number_is_the_one_in_the_file(codes: str) -> None:
    volume, affine = stored_as(marked(), RAS, codes)
    index = View.of(volume.shape, affine).stored_index(0, 7)
    axis = next(axis for axis, code in enumerate(codes) if code in "SI")
    assert np.take(volume, index, axis=axis).any()


@pytest.mark.parametrize(("thick", "sides"), [(0, ("S", "A")), (1, ("S", "R")), (2, ("A", "R"))])
def test_thick_slices_are_shown_as_they_were_acquired(thick: int, sides: tuple[str, str]) -> None:
    sizes = np.ones(3)
    sizes[thick] = 8.0
    view = View.of((20, 20, 20), np.diag([*sizes, 1.0]))
    assert (view.top, view.left) == sides
    assert view.spacing == pytest.approx((1, 1, 8))


def test_oblique_short_axis_keeps_its_plane() -> None:
    angle = np.deg2rad(40)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.4, 1.4, 10.0])
    view = View.of((30, 30, 8), affine)
    assert view.apply(np.zeros((30, 31, 8))).shape == (31, 30, 8)
    assert voxel_sizes(affine) == pytest.approx((1.4, 1.4, 10.0))


def test_image_is_shown_as_it_is_stored() -> None:
    picture = np.zeros((6, 4, 1))
    picture[0, 0] = 1  # (column, row): top left
    picture[5, 0] = 2  # top right
    shown = View.of(picture.shape, None).apply(picture)
    assert (shown[0, 0, 0], shown[0, 5, 0]) == (1, 2)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL", "AIL"])
def test_picture_has_the_organ_where_the_patient_has_it(codes: str) -> None:
    mask = np.zeros((40, 40, 10), np.uint8)
    mask[30:36, 28:36, 2:8] = 3  # front right
    mask[4:10, 4:12, 2:8] = 1  # back left
    mask, affine = stored_as(mask, np.diag([2.0, 2.0, 3.0, 1.0]), codes)
    picture = Image.open(io.BytesIO(draw_preview("case", mask, affine, ACDC))).convert("RGB")
    pixels = np.asarray(picture, dtype=int)[40:225, :223]  # the first of four panels in a row
    front_right = np.argwhere(pixels[..., 0] > pixels[..., 2] + 30).mean(axis=0)  # the left ventricle is orange
    back_left = np.argwhere(pixels[..., 2] > pixels[..., 0] + 30).mean(axis=0)  # the right ventricle is blue
    assert front_right[0] < back_left[0]
    assert front_right[1] < back_left[1]


def test_pixels_have_the_proportions_of_voxels() -> None:
    mask = np.zeros((60, 60, 1), np.uint8)
    mask[20:40, 25:35] = 3  # 20 × 1 mm wide, 10 × 2 mm high: a square
    png = draw_preview("case", mask, np.diag([1.0, 2.0, 5.0, 1.0]), ACDC, np.full((60, 60, 1), 50.0))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)[40:-40]
    filled = np.argwhere(pixels[..., 0] > pixels[..., 2] + 30)
    height, width = np.ptp(filled, axis=0)
    assert height == pytest.approx(width, rel=0.03)


def test_organ_at_the_edge_and_full_slice_are_outlined() -> None:
    draw_preview("case", np.full((8, 8, 2), 3, np.uint8), np.eye(4), ACDC)
    draw_preview("case", np.full((1, 1, 1), 3, np.uint8), np.eye(4), ACDC)


def test_empty_mask_shows_the_whole_image() -> None:
    png = draw_preview("case", np.zeros((30, 30, 20), np.uint8), np.eye(4), ACDC, np.ones((30, 30, 20)))
    assert Image.open(io.BytesIO(png)).size[0] == 900


def test_real_size_is_small() -> None:
    generator = np.random.default_rng(0)
    image = gaussian_filter(generator.normal(100, 60, (256, 256, 12)), 0.8)
    mask = np.zeros(image.shape, np.uint8)
    mask[90:150, 90:150] = 2
    mask[105:135, 105:135] = 3
    png = draw_preview("case", mask, np.diag([1.4, 1.4, 8.0, 1.0]), ACDC, image, reference=np.roll(mask, 3, 0))
    assert len(png) < 200_000


def test_windows() -> None:
    ct = np.array([-1000.0, -160.0, 40.0, 240.0, 3000.0]).reshape(1, 5, 1)
    assert _grey(ct, None)[0, :, 0] == pytest.approx([0, 0, 127.5, 255, 255], abs=0.5)
    assert _grey(ct, (0.0, 2000.0))[0, :, 0] == pytest.approx([0, 107.1, 132.6, 158.1, 255], abs=0.5)
    assert _grey(np.full((2, 2, 1), 7.0), None).max() == 0
    assert _grey(np.array([np.nan, np.inf, 1, 2]).reshape(2, 2, 1), None).ravel().tolist()[:2] == [0, 0]


def test_slices_are_spread_over_the_organ() -> None:
    assert _spread(slice(3, 8)) == [3, 4, 5, 6, 7]
    assert _spread(slice(10, 111))[::11] == [10, 110]
    assert len(set(_spread(slice(0, 13)))) == 12


def test_nested_regions_have_colours_of_their_own() -> None:
    kits = get_label_map("kits23")
    colors = [organ_color(kits, organ) for organ in kits.organs]
    assert len(set(colors)) == 3
    assert colors[0] == tuple(part / 255 for part in kits.colors[1])


@pytest.mark.parametrize("codes", CODES)
def test_box_turns_as_its_volume_does(codes: str) -> None:
    volume, affine = stored_as(np.zeros((8, 9, 7), np.int16), RAS, codes)
    box = (slice(1, 4), slice(2, 5), slice(0, 3))
    volume[box] = 1
    view = View.of(volume.shape, affine)
    shown = view.apply(volume)
    assert shown[view.apply_to_box(box, volume.shape)].all() and shown.sum() == 27


def test_outline_lies_on_the_border_of_its_organ() -> None:
    """Half a pixel outside of the organ's first pixel, in a panel of known scale."""
    mask = np.zeros((45, 45, 1), np.uint8)
    mask[15:30, 15:30] = 3
    png = draw_preview("", mask, np.diag([-1.0, -1.0, 5.0, 1.0]), ACDC, np.zeros((45, 45, 1)))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)[32:930, :898]
    bright = np.argwhere(pixels[..., 0] > pixels[..., 2] + 150)  # orange, as the letters aren't
    assert bright.min(axis=0) == pytest.approx([898 / 3] * 2, abs=12), "the border between pixel 14 and 15"
    assert bright.max(axis=0) == pytest.approx([898 * 2 / 3] * 2, abs=12)


def test_long_titles_and_legends_stay_on_the_sheet() -> None:
    mask = np.zeros((40, 40, 1), np.uint8)
    mask[5:15, 5:15], mask[20:30, 5:15], mask[5:15, 20:30] = 1, 2, 3
    notes = dict.fromkeys(ACDC.organs, "98 ml (reference 101) · Dice 0.93, " * 2)
    png = draw_preview("ward/" * 60, mask, np.eye(4), ACDC, reference=mask, notes=notes)
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    assert pixels.shape[1] == 900 and pixels[:32, 894:].max() == 0
    legend = pixels[-90:]
    assert legend[:, :4].max() == 0 and legend[:, -4:].max() == 0, "no entry is cut off"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_box_of_a_label_is_where_its_voxels_are_however_they_lie_in_memory(order: tuple[int, int, int]) -> None:
    volume = np.zeros((9, 8, 7), np.int16).transpose(order)
    volume[1:3, 2:6, 4] = 2
    volume[4, 3, 1:3] = 5
    volume[2, 6, 5] = 2
    for array in (volume, np.asfortranarray(volume), volume[::-1][::-1]):
        boxes = {label: [(span.start, span.stop) for span in box] for label, box in _boxes_of_labels(array).items()}
        assert boxes == {2: [(1, 3), (2, 7), (4, 6)], 5: [(4, 5), (3, 4), (1, 3)]}
    mirrored = _boxes_of_labels(volume[::-1])
    assert mirrored[5][0] == slice(len(volume) - 5, len(volume) - 4)


@pytest.mark.parametrize("seed", range(20))
def test_boxes_of_labels_are_those_that_scipy_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    volume = np.zeros(rng.integers(1, 12, 3), np.uint8)
    for label in rng.choice([1, 7, 8, 9, 16, 17, 248, 249, 255], 6):
        volume[tuple(rng.integers(0, side) for side in volume.shape)] = label
    assert _boxes_of_labels(volume) == {n: box for n, box in enumerate(find_objects(volume), start=1) if box}


def test_outlines_of_many_organs_and_slices_are_those_of_each_alone() -> None:
    """Found together, as that is faster; alone by contourpy, on a slice with two voxels of nothing around it."""
    rng = np.random.default_rng(0)
    slices = rng.integers(0, 4, (5, 1, 1)) * np.ones((5, 21, 17), int)
    slices[1:] = np.where(gaussian_filter(rng.normal(size=(4, 21, 17)), 2) > 0, rng.integers(1, 4, (4, 1, 1)), 0)
    slices[3, 4:9, 4:9], slices[3, 6:8, 6:8] = 1, 2
    found = _outlines(slices.astype(np.uint8), ACDC, list(ACDC.organs))
    assert len(found) == len(slices) and sum(map(len, found)) > 5
    for labels, outlines in zip(slices, found, strict=True):
        for organ, indices in ACDC.organs.items():
            alone = contour_generator(z=np.pad(np.isin(labels, indices), 2).astype(float)).lines(0.5)
            assert len(alone) == len(outlines.get(organ, []))
            for line, expected in zip(outlines.get(organ, []), alone, strict=True):
                np.testing.assert_array_equal(line, np.asarray(expected) - 2)
