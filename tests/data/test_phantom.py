# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import get_label_map
from pranet_monai.data.phantom import LEFT_VENTRICLE, MYOCARDIUM, RIGHT_VENTRICLE, Phantom, make_phantom, write_phantom
from scipy.ndimage import label as components


@pytest.fixture(scope="module")
def heart() -> tuple[Phantom, Phantom]:
    return make_phantom(3, "ED"), make_phantom(3, "ES")


def volume_ml(phantom: Phantom, number: int) -> float:
    return float((phantom.label == number).sum() * abs(np.linalg.det(phantom.affine[:3, :3])) / 1000)


def test_sizes_are_those_of_a_heart(heart: tuple[Phantom, Phantom]) -> None:
    filled, contracted = heart
    assert 80 < volume_ml(filled, LEFT_VENTRICLE) < 160
    assert 80 < volume_ml(filled, RIGHT_VENTRICLE) < 160
    ejected = 1 - volume_ml(contracted, LEFT_VENTRICLE) / volume_ml(filled, LEFT_VENTRICLE)
    assert 0.4 < ejected < 0.7
    muscle = volume_ml(contracted, MYOCARDIUM) / volume_ml(filled, MYOCARDIUM)
    assert 0.8 < muscle < 1.2, "muscle is moved, not lost"


def test_numbers_are_acdcs(heart: tuple[Phantom, Phantom]) -> None:
    labels = get_label_map("acdc").labels
    assert labels[RIGHT_VENTRICLE] == "right_ventricle"
    assert labels[MYOCARDIUM] == "myocardium"
    assert labels[LEFT_VENTRICLE] == "left_ventricle"
    assert set(np.unique(heart[0].label)) == {0, 1, 2, 3}


def test_blood_is_bright_and_muscle_dark(heart: tuple[Phantom, Phantom]) -> None:
    image, label = heart[0].image, heart[0].label
    assert image[label == LEFT_VENTRICLE].mean() > 1.8 * image[label == MYOCARDIUM].mean()
    assert image[label == RIGHT_VENTRICLE].mean() > 1.8 * image[label == MYOCARDIUM].mean()


def test_myocardium_is_a_closed_ring_and_the_right_ventricle_lies_on_the_right(heart: tuple[Phantom, Phantom]) -> None:
    label, affine = heart[0].label, heart[0].affine
    middle = label[..., label.shape[2] // 2]
    outside = components(np.isin(middle, (0, RIGHT_VENTRICLE)))[1]
    assert outside == 1, "a way from the outside into the cavity"
    right, left = (np.argwhere(label == n).mean(0) for n in (RIGHT_VENTRICLE, LEFT_VENTRICLE))
    assert (affine[:3, :3] @ (right - left))[0] > 10, "in RAS, the patient's right is +"


def test_the_heart_narrows_towards_the_apex(heart: tuple[Phantom, Phantom]) -> None:
    area = (heart[0].label > 0).sum((0, 1))
    assert area[0] > 0 and (np.diff(area) < 0).all(), "filled: from the first slice to the last"


def test_contraction_pulls_the_valves_past_the_first_slice_of_some_patients(heart: tuple[Phantom, Phantom]) -> None:
    image, label = heart[1].image, heart[1].label
    area = (label > 0).sum((0, 1))
    assert area[0] == 0 and (area[1:] > 0).all(), "atria, which ACDC doesn't label"
    chamber = image[..., 0] > 0.7 * image[label == LEFT_VENTRICLE].mean()
    assert chamber.sum() > 2 * (label[..., 1] == LEFT_VENTRICLE).sum(), "they are there to be seen"
    assert (make_phantom(1, "ES").label[..., 0] > 0).any()


def test_a_seed_is_a_patient(heart: tuple[Phantom, Phantom]) -> None:
    again, other = make_phantom(3, "ED"), make_phantom(4, "ED")
    assert np.array_equal(again.image, heart[0].image)
    assert other.image.shape != again.image.shape or not np.array_equal(other.label, again.label)
    assert heart[0].image.shape == heart[1].image.shape and np.array_equal(heart[0].affine, heart[1].affine)
    with pytest.raises(ValueError, match="phase='diastole': allowed are 'ED' and 'ES'"):
        make_phantom(3, "diastole")  # type: ignore[arg-type]


def test_written_data_set_is_found_and_its_last_patient_is_turned(tmp_path: Path) -> None:
    images = write_phantom(tmp_path, n_cases=2, seed=3)
    items = find_cases(tmp_path, labels="required")
    assert [item["image"] for item in items] == [str(path) for path in images]
    assert not any("error" in item for item in items)
    loaded = {item["case"]: (nib.load(item["image"]), nib.load(item["label"])) for item in items}
    for image, label in loaded.values():
        assert image.shape == label.shape and np.array_equal(image.affine, label.affine)
        assert image.get_data_dtype() == np.int16 and label.get_data_dtype() == np.uint8
    codes = {case: "".join(nib.aff2axcodes(image.affine)) for case, (image, _) in loaded.items()}
    assert codes["imagesTr/phantom001_ED"] == "LPS" and codes["imagesTr/phantom002_ES"] == "PSR"
    straight = nib.as_closest_canonical(loaded["imagesTr/phantom002_ED"][0])
    original = make_phantom(4, "ED")
    canonical = nib.as_closest_canonical(nib.Nifti1Image(original.image, original.affine))
    assert np.array_equal(np.asarray(straight.dataobj), np.asarray(canonical.dataobj))
    assert np.allclose(straight.affine, canonical.affine, atol=1e-4)
