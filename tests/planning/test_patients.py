# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from pranet_monai.data.splits import patient_of
from pranet_monai.errors import UsageError
from pranet_monai.planning.patients import patients_of


def of(*cases: str, pattern: str | None = None) -> list[str]:
    return patients_of([{"case": case} for case in cases], pattern)


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        (["imagesTr/patient003_ED", "imagesTr/patient003_ES", "imagesTr/patient004_ED"], [0, 0, 1]),
        (["p1/p1_frame01", "p1/p1_frame12", "p2/p2_frame01"], [0, 0, 1]),
        (["sub-01/ses-1/sub-01_ses-1_T1w", "sub-01/ses-2/sub-01_ses-2_T1w", "sub-02/sub-02_T1w"], [0, 0, 1]),
        (["case_00000/imaging", "case_00001/imaging"], [0, 1]),
        (["imagesTr/liver_1", "imagesTr/liver_10", "imagesTr/liver_2"], [0, 1, 2]),
        (["amos_0000", "amos_0001"], [0, 1]),
        (["anna_visit1_0000", "anna_visit2_0000", "bob_visit1_0000"], [0, 0, 1]),
        (["x_t0", "x_t1_ED", "y_t0"], [0, 0, 1]),
        (["a", "a_2", "b"], [0, 0, 1]),  # a split couldn't tell a_2 from a case of a
        (["MR/1/T2SPIR", "MR/2/T2SPIR"], [0, 1]),
        (["p1/series_003_0a1b2c", "p1/series_004_1a1b2c", "p2/series_003_2a1b2c_volume1"], [0, 0, 1]),
        (["p1/ct/series_003_0a1b2c", "p1/ct/series_004_1a1b2c", "p2/ct/series_003_2a1b2c"], [0, 0, 1]),
        (["p1/ct/series_003_0a1b2c", "p2/ct", "p3_volume1", "p3_volume2"], [0, 1, 2, 2]),
        (["TCGA_CS_4941/TCGA_CS_4941_1", "TCGA_CS_4941/TCGA_CS_4941_2", "TCGA_CS_5/TCGA_CS_5_1"], [0, 0, 1]),
        (["d/001/001_SA_ED", "d/001/001_LA_ED", "d/002/002_SA_ED"], [0, 0, 1]),
        (["images/images_1", "images/images_2", "benign/benign (1)", "benign/benign (2)"], [0, 1, 2, 3]),
        (["train/images/1", "train/images/2", "test/images/1"], [0, 1, 2]),
        (["training_set/1_HC", "training_set/2_HC", "test_set/1_HC"], [0, 1, 2]),
        (["images/PAT1_20200101", "images/PAT1_20210303", "images/PAT2_20200101"], [0, 0, 1]),
        (["knee_1_left", "knee_1_RIGHT", "knee_2_left"], [0, 0, 1]),
        (["images/b_visit1_0000", "images/b_visit1_0001", "images/b_visit2_0000", "images/c_0000"], [0, 0, 0, 1]),
    ],
)  # fmt: skip
def test_names_that_people_give(cases: list[str], expected: list[int]) -> None:
    """Who is the same, and that a split that lists them finds each case again."""
    names = of(*cases)
    known = list(dict.fromkeys(names))
    assert [known.index(name) for name in names] == expected
    assert [patient_of(case, known) for case in cases] == names


def test_a_known_data_set_tells() -> None:
    assert patients_of([{"case": "case0005", "patient": "img0005"}]) == ["img0005"]


def test_by_a_pattern() -> None:
    assert of("scanA-001-x", "scanA-002-x", "scanB-001-x", pattern="scan[A-Z]") == ["scanA", "scanA", "scanB"]
    with pytest.raises(UsageError, match="no patient by it in other"):
        of("scanA", "other", pattern="scan[A-Z]")
    with pytest.raises(UsageError, match="invalid regular expression"):
        of("scanA", pattern="[")


def test_a_split_may_list_single_cases() -> None:
    assert patient_of("imagesTr/p1_scan1", ["imagesTr/p1_scan1"]) == "imagesTr/p1_scan1"
    assert patient_of("imagesTr/p1_scan2", ["imagesTr/p1_scan1"]) is None
