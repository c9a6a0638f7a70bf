# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import json
from bisect import bisect_right
from pathlib import Path

import pytest
from pranet_monai.apps import calibrate
from pranet_monai.data import splits
from pranet_monai.data.splits import cases_of_split, load_split, load_split_parts, patient_of, patient_of_case
from pranet_monai.errors import UsageError

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


def test_acdc_of_the_challenge() -> None:
    parts = load_split_parts("acdc_100_50")
    assert list(parts) == ["train", "test"]
    assert parts["train"] == [f"patient{i:03d}" for i in range(1, 101)]
    assert parts["test"] == [f"patient{i:03d}" for i in range(101, 151)]


def test_synapse_has_the_papers_cases() -> None:
    papers = {
        "train": "0005 0006 0007 0009 0010 0021 0023 0024 0026 0027 0028 0030 0031 0033 0034 0037 0039 0040",
        "test": "0008 0022 0038 0036 0032 0002 0029 0003 0001 0004 0025 0035",
    }
    expected = {part: sorted(f"img{number}" for number in numbers.split()) for part, numbers in papers.items()}
    assert load_split_parts("synapse_18_12") == expected
    parts = load_split_parts("synapse_15_3_12")
    assert {part: len(cases) for part, cases in parts.items()} == {"train": 15, "val": 3, "test": 12}
    assert {"train": sorted(parts["train"] + parts["val"]), "test": parts["test"]} == expected


def test_hippocampus_is_divided_160_40() -> None:
    sizes = {part: len(subjects) for part, subjects in load_split_parts("hippocampus_160_40").items()}
    assert sizes == {"train": 160, "val": 40}


def test_hippocampus_parts_are_the_subjects_of_the_data(test_data: Path) -> None:
    files = {file.name.split(".")[0] for file in (test_data / "hippocampus/imagesTr").glob("*.nii.gz")}
    assert files == set(sum(load_split_parts("hippocampus_160_40").values(), []))


def test_polyps_are_the_official_training_set_and_its_videos_stay_together() -> None:
    parts = load_split_parts("polyp_official")
    assert {part: len(images) for part, images in parts.items()} == {"train": 1311, "val": 139}
    # CVC-ClinicDB's videos by its authors' table; every frame of one is in one part
    starts = [1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298, 318, 343, 364, 384, 409, 429, 448]
    starts += [467, 479, 504, 529, 547, 572, 592]
    videos = {part: {bisect_right(starts, int(name)) for name in parts[part] if name.isdigit()} for part in parts}
    assert len(videos["val"]) == 3 and len(videos["train"]) == 26
    assert not videos["train"] & videos["val"]


def test_polyp_parts_are_the_images_of_the_data(test_data: Path) -> None:
    files = {
        file.stem for folder in ("kvasir", "clinicdb") for file in (test_data / "polyp" / folder / "images").iterdir()
    }
    assert files == set(sum(load_split_parts("polyp_official").values(), []))


def test_kits_has_all_public_cases() -> None:
    everyone = sorted(case for cases in load_split_parts("kits23_70_10_20").values() for case in cases)
    assert everyone == [f"case_{number:05d}" for number in (*range(300), *range(400, 589))]


def test_cases_of_several_parts() -> None:
    cases = [{"case": f"chaos_{number:02d}"} for number in (1, 2, 5, 8, 32, 39, 21)]
    chosen = cases_of_split(cases, "chaos_mr_5fold", ["fold0", "fold1"])
    assert chosen == cases[:-1]
    assert cases_of_split(cases, "chaos_mr_5fold", "fold0") == cases[:3]


def test_a_random_split_is_the_same_for_any_order_and_never_meets() -> None:
    cases = [{"case": f"images/{number}"} for number in range(20)]
    train, val = (cases_of_split(cases, "random_80_20", part) for part in ("train", "val"))
    assert (len(train), len(val)) == (16, 4)
    assert sorted(case["case"] for case in train + val) == sorted(case["case"] for case in cases)
    assert cases_of_split(cases[::-1], "random_80_20", "val") == val
    assert len(cases_of_split(cases[:2], "random_90_10", "train")) == 1
    with pytest.raises(UsageError, match="found 1 usable case"):
        cases_of_split([*cases[:1], {"case": "b", "error": "no label"}], "random_90_10", "train")


def test_a_patient_in_two_parts_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "leaky.json"
    path.write_text(json.dumps({"parts": {"train": ["p1", "p2"], "test": ["p2", "p3"]}}))
    with pytest.raises(ValueError, match=r"1 patients are in more than one place \(p2\)"):
        load_split(str(path), "train")


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ValueError, match="'acdc' is unknown; known: .*acdc_70_10_20, .*chaos_mr_5fold"):
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


def test_a_layout_tells_the_patient_better_than_a_name() -> None:
    case = {"case": "labelled/case0005_slice000", "patient": "img0005"}
    assert patient_of_case(case, ["img0005", "case0005"]) == "img0005"
    assert patient_of_case({"case": "labelled/case0005_slice000"}, ["img0005", "case0005"]) == "case0005"


@pytest.mark.parametrize("split", ["random_8_2", "own.json"])
def test_calibration_leaves_out_all_cases_of_a_patient(tmp_path: Path, split: str) -> None:
    (tmp_path / "own.json").write_text('{"parts": {"val": ["img0005"]}}', encoding="utf-8")
    split = split if split.startswith("random") else str(tmp_path / split)
    cases = [{"case": f"labelled/case0005_slice00{number}", "patient": "img0005"} for number in range(3)]
    assert {calibrate._patient(case, split, ["val"]) for case in cases} == {"img0005"}
    assert calibrate._patient({"case": "labelled/x"}, split, ["val"]) == "labelled/x"


def test_validation_is_apart_from_training() -> None:
    cases = [{"case": f"imagesTr/chaos_{number}"} for number in ("01", "02", "05", "08", "32", "39")]
    train = cases_of_split(cases, "chaos_mr_5fold", ["fold0", "fold1"])
    with pytest.raises(UsageError, match="3 of part 'fold1' are trained on as well: chaos_08, chaos_32, chaos_39"):
        cases_of_split(cases, "chaos_mr_5fold", "fold1", apart_from=train)
    assert cases_of_split(cases, "chaos_mr_5fold", "fold1", apart_from=train[:3]) == cases[3:]
    assert cases_of_split(cases, "chaos_mr_5fold", [], apart_from=train) == []
    with pytest.raises(UsageError, match="2 of part 'train' are trained on as well: [a-d], [a-d];"):
        dealt = [{"case": name} for name in "abcd"]
        cases_of_split(dealt, "random_50_50", "train", apart_from=cases_of_split(dealt, "random_50_50", "train"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"train": ["a"]}', 'found no "parts" that are named lists'),
        ("{", "found text that is not valid JSON"),
        ('{"parts": {"train": "a"}}', "found 'a' as part 'train', no list of names"),
        ('{"parts": {"train": ["a"], "val": ["a"]}}', "1 patients are in more than one place"),
    ],
)
def test_a_file_that_is_no_split_is_named(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=found) as caught:
        load_split_parts(str(path))
    assert "mine.json" in str(caught.value) and "allowed: " in str(caught.value)


def test_a_random_split_says_what_it_leaves_out(caplog: pytest.LogCaptureFixture) -> None:
    cases = [{"case": f"c{number}", **({} if number < 3 else {"error": "no label"})} for number in range(10)]
    assert len(cases_of_split(cases, "random_2_1", "train")) == 2
    assert "7 cases can't be used and are left out" in caplog.text and "c3: no label" in caplog.text
    with pytest.raises(UsageError, match="has no part 'fold1'; it has: train, val"):
        cases_of_split(cases, "random_2_1", "fold1")
