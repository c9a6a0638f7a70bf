# SPDX-License-Identifier: Apache-2.0
"""The tables of a run: hand-computed numbers, rows as cases finish, resuming, strict JSON."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.reports import RunReport, VolumeKind
from pranet_monai.storage import atomic

from tests.reports.rows import add_case, add_failure, skip

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])  # 0.02 ml per voxel
SHAPE = (12, 12, 6)


def block(label: int, start: int, stop: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[start:stop, 2:6, 1:3] = label
    return mask


def report(folder: Path, resume: bool = False, **how: Any) -> RunReport:
    return RunReport(folder, "acdc", kind=VolumeKind(**how), previews=False, resume=resume)


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "report" / name, dtype={"case": str})


def strict_load(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} isn't JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_case_row_holds_hand_computed_numbers(tmp_path: Path) -> None:
    run = report(tmp_path)
    add_case(run, "site/007", block(3, 2, 5) + block(1, 8, 12), AFFINE, seconds=1.25)
    row = read(tmp_path, "cases.csv").iloc[0]
    assert (row["case"], row["status"], row["seconds"]) == ("site/007", "ok", 1.25)
    assert row["voxels_left_ventricle"] == 3 * 4 * 2
    assert row["volume_ml_left_ventricle"] == pytest.approx(24 * 0.02)
    assert not row["touches_border_left_ventricle"]
    assert row["volume_ml_right_ventricle"] == pytest.approx(32 * 0.02)
    assert row["touches_border_right_ventricle"]
    assert row["voxels_myocardium"] == 0
    assert not (tmp_path / "report" / "metrics.csv").exists()


def test_metrics_row_holds_hand_computed_numbers(tmp_path: Path) -> None:
    run = report(tmp_path)
    add_case(run, "a", block(3, 3, 6), AFFINE, reference=block(3, 2, 6))
    rows = read(tmp_path, "metrics.csv").set_index("organ")
    lv = rows.loc["left_ventricle"]
    assert lv["dice"] == pytest.approx(2 * 24 / (24 + 32), abs=1e-6)
    assert lv["iou"] == pytest.approx(24 / 32, abs=1e-6)
    assert lv["hd95_mm"] == pytest.approx(2.0)
    assert (lv["volume_ml"], lv["reference_volume_ml"]) == pytest.approx((0.48, 0.64))
    assert rows.loc["myocardium", "status"] == "both_empty"
    assert np.isnan(rows.loc["myocardium", "dice"])


def test_missed_organ_counts_with_the_diagonal(tmp_path: Path) -> None:
    run = report(tmp_path)
    add_case(run, "a", block(3, 3, 6), AFFINE, reference=block(3, 3, 6) + block(1, 8, 10))
    run.finish()
    rv = read(tmp_path, "metrics.csv").set_index("organ").loc["right_ventricle"]
    assert (rv["status"], rv["dice"]) == ("missed", 0)
    assert rv["hd95_mm"] == pytest.approx(np.sqrt(24**2 + 24**2 + 30**2))
    summary = strict_load(tmp_path / "report" / "summary.json")
    assert summary["organs"]["right_ventricle"]["n_missed"] == 1
    assert summary["definitions"]["hd95_mm"].startswith("pooled")
    assert "diagonal" in summary["definitions"]["missed"]


def test_infinite_distance_is_strict_json_and_no_null_cell(tmp_path: Path) -> None:
    run = report(tmp_path, missed="inf")
    add_case(run, "a", block(3, 3, 6), AFFINE, reference=block(1, 8, 10))
    run.finish({"odd": [float("nan"), float("inf"), np.float32(0.5), Path("x")]})
    assert np.isinf(read(tmp_path, "metrics.csv").set_index("organ").loc["left_ventricle", "hd95_mm"])
    strict_load(tmp_path / "report" / "summary.json")
    assert strict_load(tmp_path / "report" / "run.json")["odd"] == [None, "inf", 0.5, "x"]


def test_failure_has_a_row_with_its_reason_on_one_line(tmp_path: Path) -> None:
    run = report(tmp_path)
    assert run.exit_code == 0
    add_failure(run, "bad", BadCaseError("bad.nii.gz: truncated,\n  at byte 12"))
    add_case(run, "good", block(3, 2, 5), AFFINE)
    rows = read(tmp_path, "cases.csv").set_index("case")
    assert rows.loc["bad", "reason"] == "bad.nii.gz: truncated, at byte 12"
    assert list(rows["status"]) == ["failed", "ok"]
    assert run.exit_code == 1
    assert run.finish()["cases"] == {"ok": 1, "failed": 1, "skipped": 0}


def test_reference_on_another_grid_is_a_bad_case(tmp_path: Path) -> None:
    run = report(tmp_path)
    with pytest.raises(BadCaseError, match=r"\(12, 12, 6\).*\(12, 12, 7\)"):
        add_case(run, "a", block(3, 2, 5), AFFINE, reference=block(3, 2, 5, (12, 12, 7)))


def test_rows_are_on_disk_before_the_next_case(tmp_path: Path) -> None:
    run = report(tmp_path)
    for count, case in enumerate("abc", start=1):
        add_case(run, case, block(3, 2, 5), AFFINE, reference=block(3, 2, 5))
        assert len(read(tmp_path, "cases.csv")) == count
        assert read(tmp_path, "metrics.csv")["case"].nunique() == count


def test_write_that_is_killed_leaves_the_former_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = report(tmp_path)
    add_case(run, "a", block(3, 2, 5), AFFINE)
    add_case(run, "a", block(3, 2, 6), AFFINE)  # after a changed row the file is written anew at the end
    former = (tmp_path / "report" / "cases.csv").read_bytes()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        run.finish()
    assert (tmp_path / "report" / "cases.csv").read_bytes() == former
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [".lock", "cases.csv"]


def test_resumed_run_keeps_rows_and_retries_failures(tmp_path: Path) -> None:
    killed = report(tmp_path)
    add_case(killed, "007", block(3, 2, 5), AFFINE, reference=block(3, 2, 6), seconds=3.5)
    add_failure(killed, "b", "out of memory")

    run = report(tmp_path, resume=True)
    skip(run, "007")
    add_case(run, "b", block(3, 2, 6), AFFINE, reference=block(3, 2, 6))
    run.finish()
    rows = read(tmp_path, "cases.csv").set_index("case")
    assert list(rows["status"]) == ["skipped", "ok"]
    assert rows.loc["007", "volume_ml_left_ventricle"] == pytest.approx(0.48)
    assert rows.loc["007", "seconds"] == 3.5
    assert strict_load(tmp_path / "report" / "summary.json")["organs"]["left_ventricle"]["n"] == 2
    assert run.exit_code == 0


def test_fresh_run_forgets_the_former_one(tmp_path: Path) -> None:
    former = report(tmp_path)
    add_case(former, "a", block(3, 2, 5), AFFINE, reference=block(3, 2, 5))
    former.finish()
    report(tmp_path)
    assert read(tmp_path, "cases.csv").empty
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [".lock", "cases.csv"]


def test_paper_numbers_stand_beside_the_honest_ones(tmp_path: Path) -> None:
    run = report(tmp_path, protocol="paper")
    add_case(run, "a", block(3, 3, 6), AFFINE, reference=block(3, 2, 6) + block(1, 8, 10))
    run.finish()
    rows = read(tmp_path, "metrics.csv").set_index("organ")
    assert (rows.loc["left_ventricle", "hd95_mm"], rows.loc["left_ventricle", "paper_hd95_voxels"]) == (2.0, 1.0)
    assert rows.loc["right_ventricle", "hd95_mm"] > 40
    assert rows.loc["right_ventricle", "paper_hd95_voxels"] == 0
    summary = strict_load(tmp_path / "report" / "summary.json")
    assert summary["paper"]["overall"]["paper_hd95_voxels"] == pytest.approx(1 / 3)
    assert "missed organ scores HD95" in summary["paper"]["note"]
    assert "paper_dice" not in json.dumps(summary["organs"])


def test_case_that_fails_after_all_loses_its_numbers(tmp_path: Path) -> None:
    run = report(tmp_path)
    add_case(run, "a", block(3, 2, 5), AFFINE, reference=block(3, 2, 5))
    add_failure(run, "a", "the mask can't be written")
    assert read(tmp_path, "metrics.csv").empty
    assert list(read(tmp_path, "cases.csv")["status"]) == ["failed"]


def test_run_json_identifies_weights_and_names_no_host(tmp_path: Path) -> None:
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    run = report(tmp_path)
    add_case(run, "a", block(3, 2, 5), AFFINE, seconds=2.0)
    run.finish({"weights": weights, "options": {"amp": False}})
    record = strict_load(tmp_path / "report" / "run.json")
    assert record["weights"] == {"file": "model.pt", "sha256": hashlib.sha256(b"weights").hexdigest()}
    assert record["seconds_per_case"] == {"a": 2.0}
    assert record["options"] == {"amp": False}
    assert {"python", "torch", "monai", "timm", "pranet_monai"} <= set(record["versions"])
    assert record["hardware"]["cpus"] == os.cpu_count()
    record.pop("command")
    assert socket.gethostname() not in json.dumps(record)


def test_output_that_is_a_file_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="taken.*can't be written"):
        report(tmp_path / "taken")


def test_unknown_label_map_is_wrong_use_and_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="acdc"):
        RunReport(tmp_path, "heart")


def test_single_slice_touches_no_border_above_or_below(tmp_path: Path) -> None:
    run = report(tmp_path)
    add_case(run, "a", block(3, 2, 5)[:, :, 1:2], AFFINE)
    assert not read(tmp_path, "cases.csv").iloc[0]["touches_border_left_ventricle"]


def test_volume_of_sheared_voxels_is_their_determinant(tmp_path: Path) -> None:
    tilted = AFFINE.copy()
    tilted[1, 2] = 2.5  # a gantry tilted by 27 degrees: longer edges, the same volume
    run = report(tmp_path)
    add_case(run, "a", block(3, 3, 6), tilted, reference=block(3, 2, 6))
    lv = read(tmp_path, "metrics.csv").set_index("organ").loc["left_ventricle"]
    assert (lv["volume_ml"], lv["reference_volume_ml"]) == pytest.approx((0.48, 0.64))


def test_a_folder_of_the_users_own_named_report_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "report" / "previews" / "thesis.png"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    with pytest.raises(UsageError, match="report: found previews that no run .* fix: give another output folder"):
        report(tmp_path)
    assert own.read_bytes() == b"mine" and os.listdir(tmp_path / "report") == ["previews"]
    own.parent.rename(tmp_path / "report" / "pictures")
    report(tmp_path)
    report(tmp_path)  # what a run has written, the next one removes
    assert (tmp_path / "report" / "pictures" / "thesis.png").read_bytes() == b"mine"
