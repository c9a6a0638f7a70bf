# SPDX-License-Identifier: Apache-2.0
"""ED and ES are found as people name them, and the indices of a patient come out of the volumes."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from pranet_monai.reports import RunReport
from pranet_monai.reports.cardiac import agreement, find_phases

from tests.reports.rows import add_case, add_failure

AFFINE = np.diag([10.0, 10.0, 10.0, 1.0])  # 1 ml per voxel


def heart(lv: int, rv: int, myo: int) -> np.ndarray:
    labels = np.repeat(np.array([3, 1, 2], np.uint8), (lv, rv, myo))
    return np.pad(labels, (0, 1000 - labels.size)).reshape(10, 10, 10)


def lv(**volumes: float) -> dict[str, dict[str, float]]:
    return {case: {"lv": volume} for case, volume in volumes.items()}


def test_indices_of_a_patient_by_hand(tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", previews=False)
    add_case(report, "p1_ED", heart(200, 100, 150), AFFINE, reference=heart(210, 100, 140))
    add_case(report, "p1_ES", heart(80, 60, 160), AFFINE, reference=heart(84, 50, 160))
    add_case(report, "p2_ED", heart(100, 100, 100), AFFINE)
    add_failure(report, "p2_ES", "truncated")
    report.finish()
    table = pd.read_csv(tmp_path / "report" / "cardiac.csv").set_index("patient")
    assert list(table.index) == ["p1"]
    row = table.loc["p1"]
    assert (row["lv_edv_ml"], row["lv_esv_ml"], row["lv_ef"]) == pytest.approx((200, 80, 0.6))
    assert (row["rv_edv_ml"], row["rv_esv_ml"], row["rv_ef"]) == pytest.approx((100, 60, 0.4))
    assert row["myo_mass_g"] == pytest.approx(150 * 1.05)
    assert (row["reference_lv_ef"], row["reference_rv_ef"]) == pytest.approx((0.6, 0.5))
    patient = (tmp_path / "report" / "patients" / "p1.html").read_text(encoding="utf-8")
    assert "<td>200</td><td>210</td><td>-10</td>" in patient
    assert 'href="patients/p1.html"' in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_ejection_fraction_without_a_cavity_is_marked(tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", previews=False)
    add_case(report, "p1_ED", heart(200, 100, 150), AFFINE)
    add_case(report, "p1_ES", heart(0, 60, 160), AFFINE)
    report.finish()
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert '<td class="bad">100</td>' in page
    assert "<td>40</td>" in page


def test_other_label_maps_have_no_cardiac_report(tmp_path: Path) -> None:
    report = RunReport(tmp_path, "hippocampus", previews=False)
    for case in ("p1_ED", "p1_ES"):
        add_case(report, case, np.ones((4, 4, 4), np.uint8), AFFINE)
    report.finish()
    assert not (tmp_path / "report" / "cardiac.csv").exists()


def test_phases_by_name() -> None:
    phases = find_phases({"a/p1_ES": {}, "a/p1_ED": {}, "p2-ed": {}, "p2-es": {}, "p3_ED": {}, "used": {}})
    assert {patient: found[:2] for patient, found in phases.items()} == {
        "a/p1": ("a/p1_ED", "a/p1_ES"),
        "p2": ("p2-ed", "p2-es"),
    }


def test_phases_of_acdc_come_from_its_info_file(tmp_path: Path) -> None:
    (tmp_path / "patient001").mkdir()
    (tmp_path / "patient001" / "Info.cfg").write_text("ED: 12\nES: 1\nGroup: DCM\n")
    volumes = {"patient001/patient001_frame01": {"lv": 90.0}, "patient001/patient001_frame12": {"lv": 60.0}}
    found = find_phases(volumes, tmp_path)["patient001/patient001"]
    assert found == ("patient001/patient001_frame12", "patient001/patient001_frame01", "Info.cfg")


def test_phases_of_a_cine_are_its_largest_and_smallest_cavity() -> None:
    found = find_phases(lv(x_frame01=100, x_frame02=70, x_frame03=40, x_frame04=80, y_frame01=3))
    assert {patient: phases[:2] for patient, phases in found.items()} == {"x": ("x_frame01", "x_frame03")}
    assert found["x"].source == "largest and smallest left ventricle"


def test_agreement_by_hand() -> None:
    rows = [
        {"lv_ef": 0.60, "reference_lv_ef": 0.50},
        {"lv_ef": 0.50, "reference_lv_ef": 0.52},
        {"lv_ef": float("nan"), "reference_lv_ef": 0.4},
        {"lv_ef": 0.3},
    ]
    found = agreement(rows)["lv_ef"]
    spread = 1.96 * np.std([0.10, -0.02], ddof=1)
    assert found == pytest.approx({"n": 2, "bias": 0.04, "low": 0.04 - spread, "high": 0.04 + spread})
    assert set(agreement(rows)) == {"lv_ef"}


def test_references_give_the_published_indices(test_data: Path, tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", previews=False)
    for path in sorted((test_data / "acdc" / "labelsVal").glob("*.nii.gz")):
        volume = nib.load(path)
        add_case(report, path.name[:-7], np.asarray(volume.dataobj), volume.affine)
    report.finish()
    found = pd.read_csv(tmp_path / "report" / "cardiac.csv").set_index("patient")
    published = pd.read_csv(test_data / "acdc" / "patients.csv").set_index("patient").loc[found.index]
    assert len(found) == 10
    for name in ("lv_edv_ml", "lv_esv_ml", "rv_edv_ml", "rv_esv_ml", "myo_ed_ml"):
        assert found[name].to_numpy() == pytest.approx(published[name].to_numpy(), rel=1e-3)
