# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from medpy.metric import binary as medpy
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from pranet_monai.metrics import SurfaceDistances, assd, hd95, nsd, surface

from .blobs import blob_pair, spacing_of

SEEDS = range(6)


def points(*positions: tuple[int, int, int], shape: tuple[int, int, int] = (4, 5, 6)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for position in positions:
        mask[position] = True
    return mask


def test_two_voxels_two_millimetres_apart() -> None:
    prediction, reference = points((1, 1, 1)), points((1, 1, 2))
    spacing = (0.5, 0.7, 2.0)
    assert hd95(prediction, reference, spacing) == 2
    assert hd95(prediction, reference, spacing, "max") == 2
    assert assd(prediction, reference, spacing) == 2
    assert nsd(prediction, reference, spacing, tolerance_mm=1.9) == 0
    assert nsd(prediction, reference, spacing, tolerance_mm=2) == 1


def test_spacing_belongs_to_the_axes_in_their_order() -> None:
    prediction, reference = points((0, 0, 0)), points((3, 2, 1))
    assert hd95(prediction, reference, (1, 10, 100)) == pytest.approx(math.sqrt(3**2 + 20**2 + 100**2))


def test_pooled_and_max_differ_where_one_mask_lacks_a_part() -> None:
    # A row of 10 voxels against its first one: from the row 0, 1, ..., 9, from the voxel 0.
    prediction, reference = np.zeros((2, 1, 10), bool)
    prediction[0, 0], reference[:] = True, True
    spacing = (1, 1)
    assert hd95(prediction, reference, spacing, "max") == pytest.approx(8.55)  # between 8 and 9, at 0.95 * 9
    assert hd95(prediction, reference, spacing, "pooled") == pytest.approx(8.5)  # 0, 0, 1, ..., 9: at 0.95 * 10
    assert assd(prediction, reference, spacing) == pytest.approx(45 / 11)
    assert nsd(prediction, reference, spacing, tolerance_mm=3) == pytest.approx(5 / 11)


def test_surface_is_made_of_voxels_with_background_behind_a_face() -> None:
    # The centre of a 3 x 3 x 3 cube is inside; a single reference voxel there is at distance 1, sqrt(2) or sqrt(3).
    cube = np.zeros((5, 5, 5), bool)
    cube[1:4, 1:4, 1:4] = True
    distances = SurfaceDistances(cube, points((2, 2, 2), shape=(5, 5, 5)), (1, 1, 1))
    expected = [1] * 6 + [math.sqrt(2)] * 12 + [math.sqrt(3)] * 8
    np.testing.assert_allclose(np.sort(distances.to_reference), expected)
    np.testing.assert_allclose(distances.to_prediction, [1])


def test_face_of_the_volume_is_surface() -> None:
    full = np.ones((3, 3, 3), bool)
    assert SurfaceDistances(full, full, (1, 1, 1)).to_reference.size == 26


@pytest.mark.parametrize("queries", ["tree", "transform"])
@pytest.mark.parametrize("seed", SEEDS)
def test_agrees_with_medpy(seed: int, queries: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surface, "_VOXELS_PER_QUERY", 1e-9 if queries == "tree" else math.inf)
    masks, spacing = blob_pair(seed), spacing_of(seed)
    assert hd95(*masks, spacing) == pytest.approx(medpy.hd95(*masks, spacing), abs=1e-9)
    assert assd(*masks, spacing) == pytest.approx(medpy.assd(*masks, spacing), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_agrees_with_monai(seed: int) -> None:
    masks, spacing = blob_pair(seed), spacing_of(seed)
    batch = [torch.from_numpy(mask)[None, None].float() for mask in masks]
    options = {"include_background": True, "spacing": spacing}
    monai_hd95 = compute_hausdorff_distance(*batch, percentile=95, **options).item()
    monai_assd = compute_average_surface_distance(*batch, symmetric=True, **options).item()
    assert hd95(*masks, spacing, "max") == pytest.approx(monai_hd95, rel=1e-6)  # MONAI computes in float32
    assert assd(*masks, spacing) == pytest.approx(monai_assd, rel=1e-6)
    for tolerance in (0.9, 2.3, 7.1):
        monai_nsd = compute_surface_dice(*batch, class_thresholds=[tolerance], **options).item()
        assert nsd(*masks, spacing, tolerance) == pytest.approx(monai_nsd, abs=1e-6)


def test_agrees_with_medpy_in_2d() -> None:
    masks, spacing = blob_pair(3, (40, 50)), (0.8, 1.7)
    assert hd95(*masks, spacing) == pytest.approx(medpy.hd95(*masks, spacing), abs=1e-9)


@pytest.mark.parametrize("organ", [1, 2, 3])
def test_agrees_with_medpy_on_a_real_heart(test_data, organ: int) -> None:
    # The heart at end-systole taken for a prediction of the one at end-diastole.
    volumes = [nib.load(next(test_data.glob(f"acdc/labels*/patient002_{frame}.nii.gz"))) for frame in ("ES", "ED")]
    spacing = tuple(float(size) for size in volumes[0].header.get_zooms()[:3])
    masks = [np.asanyarray(volume.dataobj) == organ for volume in volumes]
    assert hd95(*masks, spacing) == pytest.approx(medpy.hd95(*masks, spacing), abs=1e-6)
    assert assd(*masks, spacing) == pytest.approx(medpy.assd(*masks, spacing), abs=1e-6)


@pytest.mark.parametrize(("spacing", "tolerance"), [((0.7,), 2.1), ((0.1,), 0.3), ((1.1,), 3.3)])
def test_a_distance_equal_to_the_tolerance_is_within_it(spacing: tuple[float], tolerance: float) -> None:
    prediction, reference = np.zeros((2, 12), bool)
    prediction[7], reference[4] = True, True  # 3 voxels apart; 7 * 0.7 - 4 * 0.7 is more than 2.1 in floating point
    assert nsd(prediction, reference, spacing, tolerance) == 1
    assert nsd(prediction, reference, spacing, tolerance * 0.99) == 0


@pytest.mark.parametrize(
    ("missed", "distance"), [("diagonal", math.sqrt(4**2 + 10**2 + 18**2)), ("inf", math.inf), ("nan", math.nan)]
)
def test_one_empty_mask(missed: str, distance: float) -> None:
    organ, empty, spacing = points((1, 1, 1)), points(), (1, 2, 3)
    for masks, status in (((empty, organ), "missed"), ((organ, empty), "false_positive")):
        assert SurfaceDistances(*masks, spacing).status == status
        for definition in ("pooled", "max"):
            assert hd95(*masks, spacing, definition, missed=missed) == pytest.approx(distance, nan_ok=True)
        assert assd(*masks, spacing, missed=missed) == pytest.approx(distance, nan_ok=True)
        assert nsd(*masks, spacing) == 0


def test_both_masks_empty() -> None:
    empty, spacing = points(), (1, 2, 3)
    assert SurfaceDistances(empty, empty, spacing).status == "both_empty"
    for missed in ("diagonal", "inf", "nan"):
        assert math.isnan(hd95(empty, empty, spacing, missed=missed))
        assert math.isnan(assd(empty, empty, spacing, missed=missed))
    assert math.isnan(nsd(empty, empty, spacing))


@given(seed=st.integers(0, 1000), size=st.integers(3, 12))
def test_properties(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    prediction, reference = rng.random((2, size, size, 4)) < 0.2
    spacing = spacing_of(seed)
    both = SurfaceDistances(prediction, reference, spacing)
    swapped = SurfaceDistances(reference, prediction, spacing)
    padded = SurfaceDistances(np.pad(prediction, 3), np.pad(reference, 3), spacing, missed=0.0)
    if both.status == "ok":
        diagonal = hd95(prediction & False, reference, spacing)
        assert max(both.assd(), both.hd95("pooled"), both.hd95("max")) <= diagonal
        assert both.hd95() == pytest.approx(swapped.hd95())
        assert both.assd() == pytest.approx(padded.assd())
        assert both.nsd(2.0) <= both.nsd(3.0) <= both.nsd(diagonal) == 1
        doubled = SurfaceDistances(prediction, reference, [2 * s for s in spacing])
        assert doubled.assd() == pytest.approx(2 * both.assd())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing": (1, 1)}, r"spacing must be 3 positive numbers .* got \(1, 1\)"),
        ({"spacing": (1, 0, 1)}, "spacing must be 3 positive numbers"),
        ({"spacing": (1, 1, math.nan)}, "spacing must be 3 positive numbers"),
        ({"definition": "mean"}, "definition must be one of pooled, max, got 'mean'"),
        ({"missed": "zero"}, "missed must be one of diagonal, inf, nan, got 'zero'"),
        ({"reference": np.ones((1, 1, 1), bool)}, "one shape"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    valid = {"prediction": points((1, 1, 1)), "reference": points((1, 1, 2)), "spacing": (1, 1, 1)}
    with pytest.raises(ValueError, match=message):
        hd95(**(valid | arguments))


def test_negative_tolerance() -> None:
    with pytest.raises(ValueError, match="tolerance_mm must be at least 0, got -1"):
        nsd(points((1, 1, 1)), points((1, 1, 1)), (1, 1, 1), tolerance_mm=-1)
