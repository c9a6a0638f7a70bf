# SPDX-License-Identifier: Apache-2.0
"""Which way a volume is cut, by its affine and its spacing."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from pranet_monai.reports.views import View
from pranet_monai.transforms.slicing import SliceAxisLastd, SliceStack, neighbours, slicing_axis

SHAPE = (6, 7, 4)


def stack(spacing, shape=SHAPE, world=(0, 1, 2)):
    """A volume whose array axis i runs along world axis world[i]."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(world)] * np.asarray(spacing)
    data = torch.arange(float(np.prod(shape))).reshape(1, 1, *shape)
    return MetaTensor(data, affine=torch.from_numpy(affine))


@pytest.mark.parametrize("world", permutations(range(3)))
@pytest.mark.parametrize("coarse", range(3))
def test_through_plane_is_the_coarsest_axis_whatever_its_anatomy(world, coarse):
    spacing = [1.3, 1.4, 1.35]
    spacing[coarse] = 8.0
    assert slicing_axis(stack(spacing, world=world), "through_plane") == coarse


@pytest.mark.parametrize("world", permutations(range(3)))
def test_through_plane_of_an_even_grid_is_axial(world):
    assert slicing_axis(stack((1, 1.4, 1.2), world=world), "through_plane") == world.index(2)


def test_through_plane_of_one_slice_is_that_slice():
    assert slicing_axis(stack((1, 1, 1), shape=(6, 1, 7)), "through_plane") == 1


def test_oblique_stack_is_cut_as_acquired():
    turn = nib.eulerangles.euler2mat(x=np.deg2rad(60), y=np.deg2rad(35))
    affine = np.eye(4)
    affine[:3, :3] = turn * [1.4, 1.4, 10]
    volume = MetaTensor(torch.zeros(1, 1, *SHAPE), affine=torch.from_numpy(affine))
    assert slicing_axis(volume, "through_plane") == 2
    assert slicing_axis(volume, "axial") != 2


@pytest.mark.parametrize(("axis", "flip"), product((0, 1, 2), (False, True)))
def test_slice_axis_last_orders_axes_and_affine(axis, flip):
    spacing = [1.0, 1.2, 1.1]
    spacing[axis] = -9.0 if flip else 9.0
    volume = stack(spacing)[0]
    result = SliceAxisLastd(["image"], axis="through_plane")({"image": volume})["image"]
    assert torch.equal(result.as_tensor(), volume.as_tensor().movedim(axis + 1, 3))
    assert result.pixdim[2] == 9.0
    corner = np.array([1, 2, 3, 1])  # a voxel keeps its place in the world
    moved = np.append(np.append(np.delete(corner[:3], axis), corner[axis]), 1)
    np.testing.assert_allclose(result.affine.numpy() @ moved, volume.affine.numpy() @ corner)


def test_an_item_says_which_of_several_planes_is_cut():
    volume = stack((1, 1, 1))[0]
    cut = SliceAxisLastd(["image"], axis=["axial", "coronal"])
    assert cut({"image": volume})["image"].shape == (1, 6, 7, 4), "the first, where it says nothing"
    for view, shape in {"axial": (1, 6, 7, 4), "coronal": (1, 6, 4, 7), "sagittal": (1, 7, 4, 6)}.items():
        assert cut({"image": volume, "view": view})["image"].shape == shape


def test_neighbours_end_with_the_stack():
    assert neighbours(0, 3).tolist() == [[0], [1], [2]]
    assert neighbours(2, 4).tolist() == [[0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 2, 3, 3, 3]]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_stack_gives_slices_of_items_and_frames_and_takes_them_back(axis):
    volume = torch.arange(float(2 * 6 * 4 * 5 * 3)).reshape(2, 6, 4, 5, 3)  # 2 items of 3 frames of 2 channels
    cut = SliceStack(volume, axis, channels=2)
    assert cut.shape == (2, 3, volume.shape[axis + 2]) and len(cut) == 6 * volume.shape[axis + 2]
    assert cut.size == tuple(np.delete(volume.shape[2:], axis))
    number = 2 * cut.shape[2] + 1  # item 0, frame 2, slice 1
    assert torch.equal(cut.cut([number])[0], volume[0, 4:6].select(axis + 1, 1))
    with torch.inference_mode():
        filled = cut.blank(1, torch.uint8)
    assert not filled.volume.is_inference()
    assert filled.volume.shape == (2, 3, 4, 5, 3) and filled.volume.dtype == torch.uint8
    for number in reversed(range(len(cut))):
        filled.put([number], torch.full((1, 1, *cut.size), number, dtype=torch.uint8))
    for number in range(len(cut)):
        assert (filled.cut([number]) == number).all()


def test_stack_of_images_is_one_slice_each():
    images = torch.rand(5, 3, 6, 7)
    cut = SliceStack(images)
    assert len(cut) == 5 and torch.equal(cut.cut(range(5)), images)
    assert cut.blank(2, torch.float32).volume.shape == (5, 2, 6, 7)


def test_stack_shows_neighbours_in_the_order_of_the_axis():
    volume = torch.arange(4.0).expand(1, 1, 6, 7, 4)
    seen = SliceStack(volume, 2, adjacent_slices=1).cut([0, 1, 3])
    assert seen[:, :, 0, 0].tolist() == [[0, 0, 1], [0, 1, 2], [2, 3, 3]]


def test_stack_knows_the_spacing_of_its_slices():
    assert SliceStack(stack((1.3, 1.4, 8.0)), "through_plane").spacing == pytest.approx((1.3, 1.4))
    assert SliceStack(stack((1.3, 8.0, 1.4)), "through_plane").spacing == pytest.approx((1.3, 1.4))


@pytest.mark.parametrize(("ratio", "is_stack"), [(1.45, False), (1.55, True), (1.9, True)])
def test_network_and_pictures_agree_on_what_a_stack_is(ratio, is_stack):
    volume = stack((1.2 * ratio, 1.2, 1.1))
    axis = slicing_axis(volume, "through_plane")
    assert axis == (0 if is_stack else 2)
    shown = View.of(SHAPE, volume.affine.numpy()).reorder
    assert shown[axis, 0] == 2  # the pictures' slice axis


_TURNS = {
    "x": nib.eulerangles.euler2mat(x=np.pi / 4),
    "y": nib.eulerangles.euler2mat(y=np.pi / 4),
    "z": nib.eulerangles.euler2mat(z=np.pi / 4),
    "all": nib.eulerangles.euler2mat(z=np.pi / 4, y=np.pi / 4, x=np.pi / 4),
    "diagonal": np.linalg.qr(np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 0.0, -2.0]]).T)[0],
}


@pytest.mark.parametrize("turn", _TURNS)
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal", "through_plane"])
@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_all_orders_of_a_volume_at_45_degrees_are_cut_along_the_same_axis(turn, plane, noise):
    """Quaternions hold the same directions with other last digits in each order; they mustn't decide."""
    rng, edges, found = np.random.default_rng(0), _TURNS[turn] * [1.0, 1.1, 1.2], set()
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        affine = np.eye(4)
        affine[:3, :3] = edges[:, list(order)] * signs + rng.uniform(-noise, noise, (3, 3))
        volume = MetaTensor(torch.zeros(1, 1, *SHAPE), affine=torch.from_numpy(affine))
        found.add(order[slicing_axis(volume, plane)])
    assert len(found) == 1


@pytest.mark.parametrize("seed", range(50))
def test_off_the_tie_the_axis_is_nibabels(seed):
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0] * [0.7, 1.3, 2.0]
    volume = MetaTensor(torch.zeros(1, 1, *SHAPE), affine=torch.from_numpy(affine))
    for plane, world in {"sagittal": 0, "coronal": 1, "axial": 2}.items():
        assert nib.io_orientation(affine)[slicing_axis(volume, plane), 0] == world
