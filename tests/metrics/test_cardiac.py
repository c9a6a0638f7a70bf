# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from pranet_monai.metrics import cardiac_indices

PUBLISHED = ("lv_edv_ml", "lv_esv_ml", "lv_ef", "rv_edv_ml", "rv_esv_ml", "rv_ef", "myo_ed_ml")


def heart(right_ventricle: int, myocardium: int, left_ventricle: int) -> np.ndarray:
    """Labels with so many voxels of each part."""
    labels = np.repeat((1, 2, 3), (right_ventricle, myocardium, left_ventricle))
    return np.pad(labels, (0, 1000 - labels.size)).reshape(10, 10, 10)


def test_hand_computed() -> None:
    indices = cardiac_indices(heart(200, 100, 150), heart(120, 110, 60), spacing=(5, 10, 20))  # voxels of 1 ml
    expected = {"lv_edv_ml": 150, "lv_esv_ml": 60, "lv_ef": 0.6, "rv_edv_ml": 200, "rv_esv_ml": 120, "rv_ef": 0.4}
    assert indices == pytest.approx({**expected, "myo_ed_ml": 100, "myo_mass_g": 105})


def test_other_labels() -> None:
    mirrored = cardiac_indices(heart(1, 2, 3), heart(1, 2, 3), (1, 1, 1), right_ventricle=3, left_ventricle=1)
    assert (mirrored["rv_edv_ml"], mirrored["lv_edv_ml"]) == pytest.approx((0.003, 0.001))


def test_no_cavity_has_no_ejection_fraction() -> None:
    indices = cardiac_indices(heart(0, 2, 3), heart(0, 2, 4), (1, 1, 1))
    assert math.isnan(indices["rv_ef"])
    assert indices["lv_ef"] == pytest.approx(-1 / 3)


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="spacing must be 3 positive numbers"):
        cardiac_indices(heart(1, 1, 1), heart(1, 1, 1), (1, 1))
    with pytest.raises(ValueError, match="as many axes"):
        cardiac_indices(heart(1, 1, 1), heart(1, 1, 1)[0], (1, 1, 1))


def test_references_give_the_published_numbers(test_data) -> None:
    patients = pd.read_csv(test_data / "acdc" / "patients.csv").set_index("patient")
    for patient, published in patients.iterrows():
        frames = [nib.load(next(test_data.glob(f"acdc/labels*/{patient}_{frame}.nii.gz"))) for frame in ("ED", "ES")]
        spacing = frames[0].header.get_zooms()[:3]
        indices = cardiac_indices(*(np.asanyarray(frame.dataobj) for frame in frames), spacing)
        for name in PUBLISHED:
            rounding = 5e-5 if name.endswith("_ef") else 0.0  # fractions are published to 4 decimals
            assert indices[name] == pytest.approx(published[name], rel=1e-3, abs=rounding), f"{patient} {name}"
