# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from pranet_monai.data import splits
from pranet_monai.data.splits import load_split, load_split_parts, patient_of

NAMES = sorted(path.stem for path in (Path(splits.__file__).parent / "splits").glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_parts_never_meet(name: str) -> None:
    for (one, first), (other, second) in itertools.combinations(load_split_parts(name).items(), 2):
        assert not set(first) & set(second), f"{name}: {one} and {other} share patients"


def test_acdc_is_the_common_70_10_20() -> None:
    sizes = {part: len(patients) for part, patients in load_split_parts("acdc_70_10_20").items()}
    assert sizes == {"train": 70, "val": 10, "test": 20}
    everyone = sum(load_split_parts("acdc_70_10_20").values(), [])
    assert sorted(everyone) == [f"patient{i:03d}" for i in range(1, 101)]
    assert "patient002" in load_split("acdc_70_10_20", "val")


def test_acdc_parts_are_the_folders_of_the_data(test_data: Path) -> None:
    for part, folder in (("train", "imagesTr"), ("val", "imagesVal")):
        files = (test_data / "acdc" / folder).glob("*.nii.gz")
        assert {file.name.split("_")[0] for file in files} == set(load_split("acdc_70_10_20", part))


def test_chaos_has_five_folds_of_three() -> None:
    assert {part: len(subjects) for part, subjects in load_split_parts("chaos_mr_5fold").items()} == {
        f"fold{k}": 3 for k in range(5)
    }


def test_a_patient_in_two_parts_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "leaky.json"
    path.write_text(json.dumps({"parts": {"train": ["p1", "p2"], "test": ["p2", "p3"]}}))
    with pytest.raises(ValueError, match=r"1 patients are in more than one place \(p2\)"):
        load_split(str(path), "train")


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ValueError, match="'acdc' is unknown; known: acdc_70_10_20, chaos_mr_5fold"):
        load_split("acdc", "train")
    with pytest.raises(ValueError, match="no part 'validation'; it has: train, val, test"):
        load_split("acdc_70_10_20", "validation")


@pytest.mark.parametrize(
    ("case", "patient"),
    [
        ("patient003_ED", "patient003"),
        ("imagesTr/patient003_ES", "patient003"),
        ("training/patient010/patient010_frame01", "patient010"),
        ("patient0031_ED", None),
        ("patient1", None),
    ],
)
def test_patient_of_a_case(case: str, patient: str | None) -> None:
    assert patient_of(case, ["patient001", "patient003", "patient010"]) == patient
