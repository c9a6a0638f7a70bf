# SPDX-License-Identifier: Apache-2.0
"""Masks against labels by name: numbers, unmatched and odd cases, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from pranet_monai.__main__ import main
from pranet_monai.apps.evaluate import evaluate
from pranet_monai.apps.mask_pairs import find_mask_pairs
from pranet_monai.errors import UsageError

AFFINE = np.diag([-2.0, -2.0, 5.0, 1.0])


def write(path: Path, mask: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(mask, affine), path)
    return path


def heart(stop: int = 6, shape: tuple[int, int, int] = (12, 12, 4)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[2:stop, 2:6, 1:3] = 3
    return mask


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    predictions, labels = tmp_path / "predictions", tmp_path / "labels"
    for case, stop in (("a", 6), ("b", 5)):
        write(predictions / "site" / f"{case}_seg.nii.gz", heart(stop))
        write(labels / f"{case}.nii.gz", heart())
    return predictions, labels


def read(output: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(output / "report" / name, dtype={"case": str})


def command(predictions: Path, labels: Path, output: Path, *more: str) -> int:
    common = ["--label-map", "acdc", "--quiet", "--no-previews", "--output", str(output)]
    return main(["evaluate", "--predictions", str(predictions), "--labels", str(labels), *common, *more])


def test_maps_beside_masks_are_no_predictions(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """As ``segment --quality-map`` and ``--save-probabilities`` leave them; a case may be called so all the same."""
    predictions, labels = folders
    for name in ("a_quality", "a_probabilities"):
        write(predictions / "site" / f"{name}.nii.gz", heart().astype(np.float32) / 3)
    write(predictions / "site" / "c_quality.nii.gz", heart())
    write(labels / "c_quality.nii.gz", heart())
    assert command(predictions, labels, tmp_path / "out") == 0
    rows = read(tmp_path / "out", "cases.csv")
    assert sorted(rows["case"]) == ["site/a", "site/b", "site/c_quality"] and set(rows["status"]) == {"ok"}


def test_numbers_and_table(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*folders, tmp_path / "out") == 0
    rows = read(tmp_path / "out", "metrics.csv").query("organ == 'left_ventricle'").set_index("case")
    assert list(rows.index) == ["site/a", "site/b"]
    assert rows.loc["site/b", "dice"] == pytest.approx(2 * 24 / (24 + 32), abs=1e-6)
    assert rows.loc["site/b", "hd95_mm"] == 2.0
    printed = capsys.readouterr().out
    assert "left ventricle   2       0               0  0.929" in printed
    assert "2 ok; report:" in printed
    assert "paper" not in printed


def test_classes_of_a_bundle(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that it states itself, too, as one that ``new-bundle`` made: 3 is what it says, here a heart."""
    bundle = tmp_path / "mine_segmentation"
    (bundle / "configs").mkdir(parents=True)
    own = {"_target_": "pranet_monai.data.labels.stated_label_map", "name": "mine", "classes": {"3": "heart"}}
    (bundle / "configs" / "inference.json").write_text(json.dumps({"label_map": own}))
    (bundle / "configs" / "metadata.json").write_text("{}")
    predictions, labels = folders
    for path in predictions.rglob("*.nii.gz"):
        write(path, heart(5) // 3)
    common = ["--quiet", "--no-previews", "--output", str(tmp_path / "out")]
    judged = ["evaluate", "--predictions", str(predictions), "--labels", str(labels), *common]
    assert main([*judged, "--bundle", str(bundle)]) == 0
    rows = read(tmp_path / "out", "metrics.csv")
    assert list(rows["organ"]) == ["heart", "heart"] and rows["dice"].tolist() == pytest.approx([48 / 56] * 2, abs=1e-6)
    with pytest.raises(SystemExit):
        main([*judged, "--bundle", str(bundle), "--label-map", "acdc"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_paper_protocol_is_printed_with_its_note(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(*folders, tmp_path / "out", "--protocol", "paper", "--hd95", "max", "--tolerance-mm", "1")
    printed = capsys.readouterr().out
    assert "HD95 (paper), voxels" in printed
    assert "distances in voxels" in printed
    summary = json.loads((tmp_path / "out" / "report" / "summary.json").read_text())
    assert summary["definitions"]["hd95_mm"].startswith("max")
    assert "within 1 mm" in summary["definitions"]["nsd"]


def test_numbers_of_renumbering_maps(tmp_path: Path) -> None:
    predictions, labels = tmp_path / "predictions", tmp_path / "labels"
    write(predictions / "a.nii.gz", np.array([[[1, 5, 6]]], np.uint8))  # spleen, pancreas, liver
    write(labels / "a.nii.gz", np.array([[[1, 11, 6]]], np.uint8))  # the same in BTCV's numbers

    def mean_dice(first: Path, second: Path, *more: str) -> float:
        base = ["evaluate", "--label-map", "synapse8", "--quiet", "--no-previews", "--output", str(tmp_path / "out")]
        assert main([*base, "--predictions", str(first), "--labels", str(second), *more]) == 0
        return json.loads((tmp_path / "out" / "report" / "summary.json").read_text())["overall"]["dice"]["mean"]

    assert mean_dice(predictions, labels) == 1
    assert mean_dice(labels, labels, "--prediction-numbers", "raw") == 1
    assert mean_dice(predictions, predictions, "--label-numbers", "classes") == 1
    with pytest.warns(UserWarning, match="--label-numbers classes"):
        assert mean_dice(predictions, predictions) < 1


def test_unmatched_are_listed_and_the_rest_is_measured(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predictions, labels = folders
    write(predictions / "lonely_pred.nii.gz", heart())
    write(labels / "forgotten_gt.nii.gz", heart())
    assert command(predictions, labels, tmp_path / "out") == 1
    rows = read(tmp_path / "out", "cases.csv").set_index("case")
    assert "no label of this name" in rows.loc["lonely", "reason"]
    assert "no prediction of this name" in rows.loc["forgotten", "reason"]
    assert list(rows["status"]) == ["failed", "failed", "ok", "ok"]


@pytest.mark.parametrize(
    ("mask", "affine", "reason"),
    [
        (heart(shape=(12, 12, 5)), AFFINE, r"\(12, 12, 4\).*\(12, 12, 5\)"),
        (heart(), AFFINE + np.eye(4, k=3) * 7, r"7 mm beside"),
        (heart(), np.diag([2.0, 2.0, 5.0, 1.0]), r"mm beside"),
        (heart() * 3, AFFINE, r"9 \(32 voxels\)"),
        (heart() * 0.5, AFFINE, r"1.5 \(32 voxels\)"),
    ],
    ids=["shape", "shift", "flip", "unknown label", "fraction"],
)
def test_bad_case_says_how_and_stops_nothing(
    folders: tuple[Path, Path], tmp_path: Path, mask: np.ndarray, affine: np.ndarray, reason: str
) -> None:
    predictions, labels = folders
    write(predictions / "site" / "a_seg.nii.gz", mask, affine)
    assert command(predictions, labels, tmp_path / "out") == 1
    rows = read(tmp_path / "out", "cases.csv").set_index("case")
    assert rows.loc["site/a", "status"] == "failed"
    assert pd.Series(rows.loc["site/a", "reason"]).str.contains(reason).all(), rows.loc["site/a", "reason"]
    assert rows.loc["site/b", "status"] == "ok"
    assert set(read(tmp_path / "out", "metrics.csv")["case"]) == {"site/b"}


def test_truncated_file_fails_alone(folders: tuple[Path, Path], tmp_path: Path) -> None:
    predictions, labels = folders
    path = predictions / "site" / "a_seg.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    assert command(predictions, labels, tmp_path / "out") == 1
    assert list(read(tmp_path / "out", "cases.csv")["status"]) == ["failed", "ok"]


def test_image_that_does_not_fit_is_left_out_with_a_warning(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "images" / "a_0000.nii.gz", np.ones((12, 12, 4), np.int16))
    write(tmp_path / "images" / "b_0000.nii.gz", np.ones((12, 12, 9), np.int16))
    _, code = evaluate(*folders, "acdc", images=tmp_path / "images", output_dir=tmp_path / "out", quiet=True)
    assert code == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1 and "b_0000.nii.gz" in warnings[0]
    assert (tmp_path / "out" / "report" / "previews" / "site" / "b.png").is_file()


def test_wrong_use_exits_with_2(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions, labels = folders
    assert command(predictions, tmp_path / "nowhere", tmp_path / "out") == 2
    assert "nowhere: found no such folder" in capsys.readouterr().err
    write(tmp_path / "others" / "z.nii.gz", heart())
    assert command(predictions, tmp_path / "others", tmp_path / "out") == 2
    assert "z.nii.gz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("prediction", "label"),
    [
        ("p1.nii.gz", "p1.nii"),
        ("p1_seg.nii.gz", "p1_gt.nii.gz"),
        ("p1_pred.nii.gz", "p1.nii.gz"),
        ("imagesVal/p1_seg.nii.gz", "labelsVal/p1.nii.gz"),
        ("patient1/patient1_frame01_seg.nii.gz", "patient1/patient1_frame01_gt.nii.gz"),
        ("case_00001_seg.nii.gz", "case_00001/segmentation.nii.gz"),
        ("case_00001/imaging_seg.nii.gz", "case_00001/segmentation.nii.gz"),
        ("case_0001.nii.gz", "case_0001.nii.gz"),
    ],
)
def test_names_that_people_give(tmp_path: Path, prediction: str, label: str) -> None:
    write(tmp_path / "p" / prediction, heart())
    write(tmp_path / "l" / label, heart())
    write(tmp_path / "l" / "other.nii.gz", heart())
    found = find_mask_pairs(tmp_path / "p", tmp_path / "l")
    paths = [(Path(one["label"]), Path(other["label"])) for one, other in found.pairs.values()]
    assert paths == [(tmp_path / "p" / prediction, tmp_path / "l" / label)]
    assert list(found.without_prediction) == ["other"]


def test_equal_names_in_sub_folders_are_never_mixed_up(tmp_path: Path) -> None:
    for site in ("x", "y"):
        write(tmp_path / "p" / site / "scan_seg.nii.gz", heart())
        write(tmp_path / "l" / site / "scan.nii.gz", heart())
    pairs = find_mask_pairs(tmp_path / "p", tmp_path / "l").pairs
    folders = [(Path(one["label"]).parent.name, Path(other["label"]).parent.name) for one, other in pairs.values()]
    assert folders == [("x", "x"), ("y", "y")]
    for site in ("x", "y"):
        (tmp_path / "l" / site).rename(tmp_path / "l" / f"reference_{site}")
    with pytest.raises(UsageError, match="found no mask"):
        find_mask_pairs(tmp_path / "p", tmp_path / "l")


def test_two_files_of_one_case_are_wrong_use(tmp_path: Path) -> None:
    write(tmp_path / "p" / "a_seg.nii.gz", heart())
    write(tmp_path / "p" / "a.nii.gz", heart())
    write(tmp_path / "l" / "a.nii.gz", heart())
    with pytest.raises(UsageError, match="both called 'a'"):
        find_mask_pairs(tmp_path / "p", tmp_path / "l")


def test_remarks_on_masks_and_references(tmp_path: Path) -> None:
    for path in (tmp_path / "predictions" / "a.nii.gz", tmp_path / "labels" / "a.nii.gz"):
        image = nib.load(write(path, heart()))
        image.header.set_xyzt_units("micron")
        nib.save(image, path)
    assert command(tmp_path / "predictions", tmp_path / "labels", tmp_path / "out") == 0
    mask, reference = read(tmp_path / "out", "cases.csv")["remark"][0].split("; ")
    assert mask.startswith("lengths of the header are in microns: converted to mm")
    assert reference == f"reference: {mask}"
