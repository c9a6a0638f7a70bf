# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pranet_monai.__main__ import main
from pranet_monai.apps.check_data import check_data, describe
from pranet_monai.errors import UsageError

from tests.data.samples import made_sample, write_nifti

SPLIT = {"parts": {"train": ["hippocampus_001", "hippocampus_003"], "val": ["hippocampus_004", "hippocampus_006"]}}
ALL = ("001", "003", "004", "006")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four whole subjects, and a split of them."""
    (tmp_path / "split.json").write_text(json.dumps(SPLIT))
    for seed, number in enumerate(ALL):
        sample = made_sample(3, seed)
        for kind, array in (("images", sample.image), ("labels", sample.label)):
            write_nifti(tmp_path / f"data/{kind}Tr/hippocampus_{number}.nii.gz", array, sample.affine)
    return tmp_path / "data"


def path_of(folder: Path, number: str, kind: str = "images") -> Path:
    return folder / f"{kind}Tr/hippocampus_{number}.nii.gz"


def split_of(folder: Path) -> str:
    return str(folder.parent / "split.json")


def test_a_whole_data_set_is_fine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-data", "hippocampus", str(folder), "--split", split_of(folder)]) == 0
    out, err = capsys.readouterr()
    assert "4 labelled cases of 4 patients" in out
    assert "train        2 usable cases; no patient missing" in out
    assert "problems: none" in out and "worth a look: none" in out
    assert "licence: CC BY-SA 4.0" in out and "medicaldecathlon.com" in out
    assert "check-data" in err and "4/4" in err  # the bar


def test_missing_patients_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("images", "labels"):
        path_of(folder, "006", kind).unlink()
    assert main(["check-data", "hippocampus", str(folder), "--split", split_of(folder), "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert "val          1 usable cases; missing patients: 1 (hippocampus_006)" in out
    assert "4/4" not in err
    assert check_data("hippocampus", folder, quiet=True).split == "hippocampus_160_40"


def test_every_bad_case_is_a_line_and_none_stops_the_others(folder: Path) -> None:
    sample = made_sample(3)
    path_of(folder, "001").write_bytes(b"not a volume")
    write_nifti(path_of(folder, "003", "labels"), sample.label[:, :, :3], sample.affine)
    strange = made_sample(3, 2).label
    strange[0, 0, :2] = 7
    write_nifti(path_of(folder, "004", "labels"), strange, sample.affine)
    path_of(folder, "006", "labels").unlink()
    check = check_data("hippocampus", folder, split_of(folder), quiet=True)
    reasons = dict(line.split(": ", 1) for line in check.problems)
    assert set(reasons) == {f"imagesTr/hippocampus_{number}" for number in ALL}
    assert "can't be read as a volume" in reasons["imagesTr/hippocampus_001"]
    assert "found labels of shape (7, 9, 3)" in reasons["imagesTr/hippocampus_003"]
    assert "7 (2 voxels)" in reasons["imagesTr/hippocampus_004"]
    assert "found no label for it" in reasons["imagesTr/hippocampus_006"]
    assert check.missing == {part: SPLIT["parts"][part] for part in ("train", "val")}
    assert check.exit_code == 1


def test_one_image_in_two_parts_is_a_problem_and_in_one_part_a_remark(folder: Path) -> None:
    path_of(folder, "004").write_bytes(path_of(folder, "001").read_bytes())
    check = check_data("hippocampus", folder, split_of(folder), quiet=True)
    assert check.problems == [
        "imagesTr/hippocampus_004 (val): its image has the very voxels of imagesTr/hippocampus_001 (train)"
    ]
    path_of(folder, "003").write_bytes(path_of(folder, "001").read_bytes())
    write_nifti(path_of(folder, "004"), made_sample(3, 2).image, made_sample(3).affine)
    check = check_data("hippocampus", folder, split_of(folder), quiet=True)
    assert (check.problems, check.exit_code) == ([], 0)
    assert check.remarks == ["imagesTr/hippocampus_003: its image has the very voxels of imagesTr/hippocampus_001"]


def test_odd_spacing_and_empty_labels_are_worth_a_look(folder: Path) -> None:
    sample = made_sample(3, 1)
    thick = sample.affine @ np.diag([1, 1, 4, 1])
    for kind, array in (("images", sample.image), ("labels", sample.label * 0)):
        write_nifti(path_of(folder, "003", kind), array, thick)
    check = check_data("hippocampus", folder, split_of(folder), quiet=True)
    assert check.remarks == [
        "imagesTr/hippocampus_003: voxels of 1.25 x 1.5 x 28 mm; the data set's median is 1.25 x 1.5 x 7",
        "imagesTr/hippocampus_003: its label is empty",
    ]
    assert check.exit_code == 0


def test_images_for_the_test_need_no_label(folder: Path) -> None:
    sample = made_sample(3, 9)
    write_nifti(folder / "imagesTs/hippocampus_002.nii.gz", sample.image, sample.affine)
    check = check_data("hippocampus", folder, split_of(folder), quiet=True)
    assert check.exit_code == 0
    assert any("unlabelled   1 images" in line for line in describe(check))


def test_arrays_without_geometry(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("train/case_001_sliceED_0", "train/case_001_sliceED_1", "test/case_001_volume_ED"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shape = (3, 6, 5) if "volume" in name else (6, 5)
        np.savez(tmp_path / f"{name}.npz", img=rng.random(shape), label=np.zeros(shape))
    check = check_data("acdc", tmp_path, quiet=True)
    assert check.problems == ["case_001: is in test and in train; scores would be of a patient that was trained on"]
    assert check.remarks == ["test/case_001_volume_ED: its label is empty"]  # a slice may well be
    text = "\n".join(describe(check))
    assert "no committed split" in text and "only be counted in voxels" in text


def test_a_folder_of_known_size_must_be_full(tmp_path: Path) -> None:
    (tmp_path / "train_npz").mkdir()
    np.savez(tmp_path / "train_npz/case0005_slice000.npz", image=np.eye(4), label=np.zeros((4, 4)))
    check = check_data("synapse", tmp_path, quiet=True)
    assert check.split == "synapse_15_3_12"
    assert check.problems == ["train_npz: found 1 labelled cases; the data set has 2211"]
    assert "img0005" not in check.missing["train"] and len(check.missing["train"]) == 14


def test_wrong_use_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-data", "kits23", str(tmp_path)]) == 2
    assert "found nothing of KiTS23" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["check-data", "kits", str(tmp_path)])
    assert stop.value.code == 2
    (tmp_path / "case_00000").mkdir()
    (tmp_path / "case_00000/imaging.nii.gz").touch()
    with pytest.raises(UsageError, match="'mine' is unknown; known: acdc_100_50"):
        check_data("kits23", tmp_path, "mine")


def test_without_a_folder_it_says_how_to_get_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-data", "synapse"]) == 0
    out = capsys.readouterr().out
    assert "syn3193805" in out and "may not be passed on" in out and "label/label0001.nii.gz" in out


def test_the_real_data_are_whole(test_data: Path) -> None:
    check = check_data("chaos_mr", test_data / "chaos_mr", quiet=True)
    assert (check.exit_code, check.problems, check.remarks) == (0, [], [])
    assert {part: len(cases) for part, cases in check.parts.items()} == {f"fold{k}": 3 for k in range(5)}
