# SPDX-License-Identifier: Apache-2.0
"""One physical grid, its array in all 48 orders and directions: the network sees it alike, and masks lie alike.

On grids turned by 45 degrees two axes are equally near to a direction of the body, so nothing but a rule of our own
decides; the last digits of a header must not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose, Invertd
from scipy.spatial.transform import Rotation

from .conftest import SMALLEST, read_json
from .test_run import run_here

SPACING = (1.5, 1.25, 4.0)
SHAPE = (5, 6, 4)
DIAGONAL = float(np.degrees(np.arctan(np.sqrt(2))))  # a space diagonal is equally near to all three
TIES = {
    "about x": (45, 0, 0), "about y": (0, 45, 0), "about z": (0, 0, 45), "other way": (-45, 0, 0),
    "three quarters": (0, 0, 135), "twice": (0, 45, 45), "twice, x and z": (45, 0, 45), "thrice": (45, 45, 45),
    "a diagonal": (45, 90 - DIAGONAL, 0), "a diagonal and a turn": (45, 90 - DIAGONAL, 60), "60 and 45": (60, 45, 0),
}  # fmt: skip
CLEAR = {"straight": (0, 0, 0), "oblique": (20, 30, 40), "nearly": (0, 0, 44.9), "just beyond": (0, 0, 45.1)}


def orders(degrees: tuple[float, float, float], shape: tuple[int, ...] = SHAPE) -> Iterator[nib.Nifti1Image]:
    """The same voxels at the same places, in every order of the array."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * SPACING
    affine[:3, 3] = 12, -30, 7
    voxels = np.random.default_rng(0).integers(0, 800, shape).astype(np.int16)
    straight = nib.Nifti1Image(voxels, affine)
    for order in itertools.permutations(range(3)):
        for signs in itertools.product([1, -1], repeat=3):
            yield straight.as_reoriented(np.column_stack([order, signs]))


def preprocessing() -> Compose:
    config = ConfigParser(read_json(SMALLEST / "configs" / "inference.json"))
    made: Compose = config.get_parsed_content("preprocessing")
    return made


@pytest.mark.parametrize("degrees", TIES.values(), ids=TIES)
def test_the_network_sees_all_orders_alike(degrees: tuple[float, float, float], tmp_path: Path) -> None:
    seen: list[Any] = []
    prepare = preprocessing()
    for image in orders(degrees):
        nib.save(image, tmp_path / "x.nii")
        seen.append(prepare({"image": str(tmp_path / "x.nii")})["image"])
    for volume in seen[1:]:
        np.testing.assert_allclose(volume.numpy(), seen[0].numpy(), atol=1e-5)  # means are summed in another order
        np.testing.assert_allclose(volume.affine, seen[0].affine, atol=1e-4)


@pytest.mark.parametrize("degrees", {**TIES, **CLEAR}.values(), ids={**TIES, **CLEAR})
def test_each_order_comes_back(degrees: tuple[float, float, float], tmp_path: Path) -> None:
    prepare = preprocessing()
    back = Invertd("pred", prepare, "image", nearest_interp=True)
    for image in orders(degrees):
        nib.save(image, tmp_path / "x.nii")
        case = prepare({"image": str(tmp_path / "x.nii")})
        case["pred"] = case["image"] > 0
        found = back(case)["pred"]
        np.testing.assert_allclose(found.affine, image.affine, atol=1e-4)
        values = np.asarray(image.dataobj)
        brightness = values[found.numpy()[0].astype(bool)].min()
        assert brightness > values[~found.numpy()[0].astype(bool)].max(), "the brighter half is where it was"


@pytest.mark.parametrize("degrees", CLEAR.values(), ids=CLEAR)
def test_where_nothing_is_tied_it_is_the_closest_order(degrees: tuple[float, float, float], tmp_path: Path) -> None:
    """As nibabel has it, another program's answer."""
    prepare = preprocessing()
    for image in orders(degrees):
        nib.save(image, tmp_path / "x.nii")
        seen = prepare({"image": str(tmp_path / "x.nii")})["image"]
        np.testing.assert_allclose(seen.affine, nib.as_closest_canonical(image).affine, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [TIES["about x"], TIES["twice"], TIES["a diagonal"]])
def test_masks_of_all_orders_lie_alike(degrees: tuple[float, float, float], tmp_path: Path) -> None:
    """Through a whole run of a bundle, with a network for which up isn't down."""
    (tmp_path / "in").mkdir()
    for number, image in list(enumerate(orders(degrees, (20, 16, 3))))[::7]:
        nib.save(image, tmp_path / "in" / f"{number:02}.nii")
    torch.manual_seed(0)
    network = {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": 3, "padding": 1}
    torch.save(torch.nn.Conv2d(1, 4, 3, padding=1).state_dict(), tmp_path / "weights.pt")
    changes = {"network_def": network, "checkpointloader#load_path": str(tmp_path / "weights.pt")}
    assert run_here(SMALLEST, tmp_path / "in", tmp_path / "out", **changes) == 0
    first, *others = (nib.load(path) for path in sorted((tmp_path / "out").glob("*_seg.nii.gz")))
    expected = np.asarray(first.dataobj)
    assert len(others) == 6 and len(np.unique(expected)) > 1
    for mask in others:
        turn = nib.io_orientation(np.linalg.inv(first.affine) @ mask.affine)  # from grid to grid: nothing is tied
        turned = mask.as_reoriented(turn)
        np.testing.assert_allclose(turned.affine, first.affine, atol=1e-4)
        np.testing.assert_array_equal(np.asarray(turned.dataobj), expected)
