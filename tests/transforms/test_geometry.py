# SPDX-License-Identifier: Apache-2.0
"""In any orientation, a mask comes back on the voxels it was seen on: the whole chain but the network."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import decollate_batch, list_data_collate
from monai.transforms import Compose, Invertd, NormalizeIntensityd, Orientationd
from pranet_monai.data.labels import LabelMap
from pranet_monai.forms import FORMS
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import SaveMaskd

BRIGHT = LabelMap("bright", {0: "background", 1: "bright"}, {0: (0, 0, 0), 1: (255, 255, 255)})

ORIENTATIONS = [
    "".join(pick[i] for i in order)
    for order in itertools.permutations(range(3))
    for pick in itertools.product("LR", "PA", "IS")
]


def round_trip(image: nib.Nifti1Image, folder: Path) -> tuple[nib.Nifti1Image, np.ndarray]:
    """Threshold at half the maximum, which normalisation can't move across, the way a bundle runs a network."""
    nib.save(image, folder / "x.nii.gz")
    preprocessing = Compose(
        [
            LoadCased("image"),
            Orientationd("image", axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S"))),
            NormalizeIntensityd("image"),
        ]
    )
    postprocessing = Compose(
        [
            Invertd("pred", transform=preprocessing, orig_keys="image", nearest_interp=True),
            SaveMaskd("pred", folder, BRIGHT),
        ]
    )
    batch = list_data_collate([preprocessing({"image": str(folder / "x.nii.gz"), "case": "x"})])
    values = batch["image"]
    batch["pred"] = (values > (values.max() + values.min()) / 2).to(torch.uint8)
    postprocessing(decollate_batch(batch)[0])
    return nib.load(folder / "x_seg.nii.gz"), np.asarray(batch["image"].affine)[0]


def binary_image(shape: tuple[int, ...], affine: np.ndarray, seed: int = 0) -> nib.Nifti1Image:
    array = np.random.default_rng(seed).integers(0, 2, shape).astype(np.int16)
    array.flat[0], array.flat[-1] = 0, 1
    return nib.Nifti1Image(array, affine)


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_all_48_orientations(codes: str, tmp_path: Path) -> None:
    straight = binary_image((4, 5, 6), np.diag([1.5, 1.25, 8.0, 1]))
    turn = nib.orientations.ornt_transform(nib.io_orientation(np.eye(4)), nib.orientations.axcodes2ornt(codes))
    image = straight.as_reoriented(turn)
    assert "".join(nib.aff2axcodes(image.affine)) == codes
    mask, seen = round_trip(image, tmp_path)
    assert "".join(nib.aff2axcodes(seen)) == "RAS", "the network sees every file alike"
    assert mask.shape == image.shape
    assert np.array_equal(np.asarray(mask.dataobj), np.asarray(image.dataobj))
    assert np.array_equal(mask.affine, nib.load(tmp_path / "x.nii.gz").affine)


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    x, y, z = angles
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


@settings(max_examples=40, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-np.pi, np.pi)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 12)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    shear=st.floats(-0.3, 0.3),
    shape=st.one_of(
        st.tuples(st.integers(2, 7), st.integers(2, 7)),
        st.tuples(st.integers(2, 7), st.integers(2, 7), st.integers(1, 5)),
        st.tuples(st.integers(2, 7), st.integers(2, 7), st.integers(1, 4), st.integers(1, 3)),
    ),
    seed=st.integers(0, 1000),
)
def test_any_affine_and_shape(
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    shear: float,
    shape: tuple[int, ...],
    seed: int,
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = rotation(angles) @ np.diag(spacing)
    affine[0, 1] += shear * spacing[1]
    affine[:3, 3] = origin
    image = binary_image(shape, affine, seed)
    with tempfile.TemporaryDirectory() as folder:
        mask, _ = round_trip(image, Path(folder))
        assert mask.shape == shape
        assert np.array_equal(np.asarray(mask.dataobj), np.asarray(image.dataobj))
        assert np.array_equal(mask.affine, nib.load(Path(folder) / "x.nii.gz").affine)


@pytest.mark.parametrize("degrees", [(0, 45, 45), (45, 0, 45), (20, 30, 40)])
def test_a_picture_shows_what_the_file_holds(degrees: tuple[float, float, float], tmp_path: Path) -> None:
    """In every order of the array, also where a grid is turned so far that two of its axes are equally near to one."""
    base = rotation(tuple(np.radians(degrees))) @ np.diag([1.5, 1.25, 8])  # type: ignore[arg-type]
    for order in itertools.permutations(range(3)):
        for signs in itertools.product([1, -1], repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = base[:, order] * signs
            image = binary_image((4, 5, 6), affine)
            nib.save(image, tmp_path / "x.nii")
            preprocessing = Compose([LoadCased("image"), Orientationd("image", axcodes="RAS", labels=None)])
            seen = preprocessing({"image": str(tmp_path / "x.nii")})["image"]
            assert np.array_equal(FORMS["volume_file"].as_in_file(seen)[0], np.asarray(image.dataobj)), (order, signs)
