# SPDX-License-Identifier: Apache-2.0
"""A bundle with a calibration says what Dice to expect, and its masks are those of the bundle without one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from pranet_monai import Segmenter
from pranet_monai.__main__ import main
from pranet_monai.apps.segment import segment
from pranet_monai.bundle_store import find_bundle
from pranet_monai.data.phantom import write_phantom
from pranet_monai.quality import write_calibration
from pranet_monai.quality.calibration import Calibration, OrganSize
from pranet_monai.quality.model import DiceModel
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.storage.tables import read_csv, write_csv

ORGANS = ("right_ventricle", "myocardium", "left_ventricle")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_phantom(folder, 3)
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "acdc_emcad_dsra_segmentation"
    shutil.copytree(find_bundle("acdc").folder, folder)
    (folder / "models" / "quality.json").unlink(missing_ok=True)
    return folder


def calibrate_by_hand(bundle: Path) -> None:
    """Expected Dice is the soft Dice itself."""
    model = DiceModel({"soft_dice": 1.0}, dict.fromkeys(ORGANS, 0.0))
    sizes = {organ: OrganSize(4.0, 1.0, True) for organ in ORGANS}
    made = Calibration(file_sha256(bundle / "models" / "model.pt"), 4, model, sizes, 0.8, {}, {})
    write_calibration(bundle / "models" / "quality.json", made)


def test_masks_are_the_same_and_rows_say_more(sample: Path, bundle: Path, tmp_path: Path) -> None:
    image = sample / "imagesTr" / "phantom001_ED.nii.gz"
    assert segment(image, tmp_path / "plain", bundle, quiet=True, labels="none") == 0
    calibrate_by_hand(bundle)
    assert segment(image, tmp_path / "judged", bundle, quiet=True, labels="none", quality_map=True) == 0
    (plain,), (judged,) = (read_csv(tmp_path / name / "report" / "cases.csv") for name in ("plain", "judged"))
    assert not [column for column in plain if column.startswith("expected_dice")]
    assert {column: judged[column] for column in plain if not column.endswith("seconds")} == {
        column: value for column, value in plain.items() if not column.endswith("seconds")
    }
    first, second = (next((tmp_path / name).glob("*_seg.nii.gz")).read_bytes() for name in ("plain", "judged"))
    assert first == second
    found = json.loads((tmp_path / "judged" / "report" / "run.json").read_text())
    assert found["quality"] == "on"

    sure = nib.load(next((tmp_path / "judged").glob("*_quality.nii.gz")))
    source = nib.load(image)
    assert sure.shape == source.shape and np.allclose(sure.affine, source.affine)
    values = sure.get_fdata()
    assert 0 <= values.min() < 0.6 < 0.95 < np.median(values) <= values.max() <= 1

    (judgement,) = Segmenter(bundle)(image).judgements
    for organ in ORGANS:
        assert 0.5 < judged[f"expected_dice_{organ}"] <= 1
        assert judgement.expected_dice[organ] == pytest.approx(judged[f"expected_dice_{organ}"], abs=1e-6)
    assert judged["review"] == judgement.review == (min(judgement.expected_dice.values()) < 0.8)  # type: ignore[type-var]


def test_calibration_of_other_weights_is_off_in_one_line(
    sample: Path, bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calibrate_by_hand(bundle)
    path = bundle / "models" / "quality.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "weights_sha256": "0" * 64}))
    image = sample / "imagesTr" / "phantom001_ED.nii.gz"
    assert segment(image, tmp_path / "out", bundle, quiet=True, labels="none") == 0
    (row,) = read_csv(tmp_path / "out" / "report" / "cases.csv")
    assert "review" not in row
    lines = [record.getMessage() for record in caplog.records if "quality" in record.getMessage()]
    assert len(lines) == 1 and "belongs to weights 000000000000…" in lines[0] and "fix: " in lines[0]


@pytest.mark.slow
def test_calibrate_writes_what_runs_use(
    sample: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"parts": {"val": [f"phantom00{number}" for number in (1, 2, 3)]}}))
    table = tmp_path / "examples.csv"
    command = ["calibrate", str(bundle), str(sample), "--split", str(split), "--part", "val", "--copies", "1"]
    assert main([*command, "--examples", str(table), "--quiet"]) == 0
    assert "written: " in (said := capsys.readouterr().out) and "on held-out patients" in said
    rows = read_csv(table)
    assert len(rows) == 3 * 2 * 2 * 3, "patients, time points, the case and its copy, organs"
    assert {row["patient"] for row in rows} == {"phantom001", "phantom002", "phantom003"}
    first = (bundle / "models" / "quality.json").read_bytes()
    assert main([*command, "--examples", str(table), "--quiet"]) == 0  # from the table, without the network
    assert (bundle / "models" / "quality.json").read_bytes() == first
    write_csv(
        table, [*rows, *({**row, "case": "other", "patient": "other", "dice": 0.1} for row in rows)], list(rows[0])
    )
    assert main([*command, "--examples", str(table), "--quiet"]) == 0
    assert (bundle / "models" / "quality.json").read_bytes() == first, "a part that wasn't asked for changes nothing"
    image = sample / "imagesTr" / "phantom001_ED.nii.gz"
    assert segment(image, tmp_path / "out", bundle, quiet=True, labels="none") == 0
    (row,) = read_csv(tmp_path / "out" / "report" / "cases.csv")
    assert row["review"] in (True, False) and 0 <= row["expected_dice_myocardium"] <= 1


@pytest.mark.slow
def test_folds_calibrate_weights_trained_on_all(sample: Path, bundle: Path, tmp_path: Path) -> None:
    """Each patient by the network of the fold that it was left out of: here two networks that differ."""
    folds, weights = tmp_path / "folds", bundle / "models" / "model.pt"
    parts = {"fold0": ["phantom001", "phantom003"], "fold1": ["phantom002"]}
    for part in parts:
        (folds / part).mkdir(parents=True)
    (folds / "folds.json").write_text(json.dumps({"parts": parts}))
    shutil.copyfile(weights, folds / "fold0" / "model_last.pt")
    state = torch.load(weights, weights_only=True)
    torch.save(
        {name: value * (1.0 if value.ndim < 2 else 0.9) for name, value in state.items()},
        folds / "fold1" / "model_last.pt",
    )
    table = tmp_path / "examples.csv"
    command = ["calibrate", str(bundle), str(sample), "--copies", "0", "--examples", str(table), "--quiet"]
    assert main([*command, "--folds", str(folds)]) == 0
    made_by = {part: file_sha256(folds / part / "model_last.pt")[:12] for part in parts}
    found = {(row["patient"], row["weights"].removeprefix("sha256:")) for row in read_csv(table)}
    assert found == {(name, made_by[part]) for part, names in parts.items() for name in names}
    made = json.loads((bundle / "models" / "quality.json").read_text())
    assert made["weights_sha256"] == file_sha256(weights)
    assert made["made_of"]["parts"] == ["fold0", "fold1"] and made["made_of"]["networks"] == 2


def test_folds_that_are_none_or_not_ended(
    sample: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["calibrate", str(bundle), str(sample), "--quiet", "--folds", str(tmp_path)]
    assert main(command) == 2
    assert "found no folds.json" in (error := capsys.readouterr().err) and error.count("\n") == 1
    (tmp_path / "folds.json").write_text(json.dumps({"parts": {"fold0": ["phantom001"]}}))
    assert main(command) == 2
    assert "model_last.pt missing; fix: " in (error := capsys.readouterr().err) and error.count("\n") == 1
    assert main([*command, "--part", "val"]) == 2
    assert "--folds with --split or --part" in capsys.readouterr().err


def test_wrong_use_is_one_line(sample: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"parts": {"val": ["phantom001"]}}))
    command = ["calibrate", str(bundle), str(sample), "--quiet", "--split", str(split), "--part", "val"]
    for more, words in (
        (["--copies", "-1"], "--copies -1: allowed: 0 or more"),
        (["--part", "no"], "has no part 'no'"),
    ):
        assert main([*command, *more]) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
