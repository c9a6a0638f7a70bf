# SPDX-License-Identifier: Apache-2.0
"""A calibration judges the masks of its own weights and of no others, and says so."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from monai.inferers import SimpleInferer
from pranet_monai.errors import UsageError
from pranet_monai.inferers import MultiViewInferer, SliceVolumeInferer
from pranet_monai.quality import QualityJudge, read_calibration, segment_with_evidence, write_calibration
from pranet_monai.quality.calibration import Calibration
from pranet_monai.quality.examples import calibrated
from pranet_monai.storage.hashing import file_sha256

from ..inferers.base import volume
from .samples import SIZES, TwoMinds, some_examples


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    return path


def a_calibration(weights: Path) -> Calibration:
    return calibrated(some_examples(), SIZES, file_sha256(weights), 1, {"split": "some"})


def a_judge(calibration: Path, weights: Path, **options: object) -> QualityJudge:
    inferer = options.pop("inferer", SliceVolumeInferer(axis=2))
    return QualityJudge(TwoMinds(), "acdc", calibration, weights, inferer, **options)  # type: ignore[arg-type]


def test_a_file_comes_back_as_it_was(tmp_path: Path, weights: Path) -> None:
    path, made = tmp_path / "quality.json", a_calibration(weights)
    write_calibration(path, made)
    found = read_calibration(path)
    assert found.weights_sha256 == made.weights_sha256 and found.sizes == made.sizes
    assert found.review_below == pytest.approx(made.review_below, rel=1e-3)
    measures = {"soft_dice": 0.9, "certainty": 0.8}
    for organ in SIZES:
        expected = made.expected_dice(organ, measures, 50.0)
        assert found.expected_dice(organ, measures, 50.0) == pytest.approx(expected, abs=1e-3)
    assert len(path.read_text().splitlines()) < 100, "small enough to be read by people"


@pytest.mark.parametrize(
    ("content", "found"),
    [("no json", "JSONDecodeError"), ("[]", "TypeError"), ("{}", "KeyError"), ('{"format": 99}', "another version")],
)
def test_what_is_no_calibration_is_named(tmp_path: Path, weights: Path, content: str, found: str) -> None:
    path = tmp_path / "quality.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=f"quality.json: found .*{found}.*fix: "):
        a_judge(path, weights)


def test_without_a_calibration_nothing_is_judged(
    tmp_path: Path, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judge = a_judge(tmp_path / "none.json", weights)
    assert not judge.is_on and not judge.gathers and judge.status.startswith("off: the bundle has no calibration")
    assert not caplog.records, "nothing is wrong"
    assert a_judge(tmp_path / "none.json", weights, wants_map=True).gathers


def test_other_weights_other_organs_and_other_passes_turn_it_off(
    tmp_path: Path, weights: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, made = tmp_path / "quality.json", a_calibration(weights)
    changed = {
        "belongs to weights 000000000000…": replace(made, weights_sha256="0" * 64),
        "belongs to other organs": replace(made, sizes={"liver": next(iter(SIZES.values()))}),
        "was made with 4 passes (tta, views), this run has 1": replace(made, passes=4),
    }
    for words, calibration in changed.items():
        write_calibration(path, calibration)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            judge = a_judge(path, weights)
        assert not judge.is_on and words in judge.status and "\n" not in judge.status
        assert [record.getMessage() for record in caplog.records] == [f"quality {judge.status}"]
    write_calibration(path, made)
    assert a_judge(path, weights).status == "on"
    assert (
        "was made with 1 passes (tta, views), this run has 3"
        in a_judge(path, weights, inferer=MultiViewInferer(SliceVolumeInferer())).status
    )
    assert "found SimpleInferer" in a_judge(path, weights, inferer=SimpleInferer()).status
    with pytest.raises(UsageError, match="found the inferer SimpleInferer"):
        a_judge(path, weights, inferer=SimpleInferer(), wants_map=True)


def test_a_calibration_is_for_so_many_passes(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "quality.json"
    views, mirrored = MultiViewInferer(SliceVolumeInferer()), SliceVolumeInferer(tta=[[0], [1], [0, 1]])
    both = MultiViewInferer(mirrored)
    for passes, inferer in ((3, views), (4, mirrored), (12, both)):
        write_calibration(path, replace(a_calibration(weights), passes=passes))
        judged = [a_judge(path, weights, inferer=other).status == "on" for other in (views, mirrored, both)]
        assert judged == [other is inferer for other in (views, mirrored, both)]


def test_a_mask_that_lacks_an_organ_is_to_be_reviewed(tmp_path: Path, weights: Path) -> None:
    path, made = tmp_path / "quality.json", a_calibration(weights)
    write_calibration(path, replace(made, review_below=0.0001))
    judge, inferer = a_judge(path, weights), SliceVolumeInferer(axis=2)
    _, evidence, _ = segment_with_evidence(inferer, volume(1, 1, 16, 16, 4), TwoMinds())
    rows = [{"organ": organ, "voxels": 100, "volume_ml": 50.0} for organ in SIZES]
    judged = judge.judge(evidence, 0, rows, 1024)
    assert set(judged.expected_dice) == set(SIZES) and not judged.review
    rows[1] = {"organ": rows[1]["organ"], "voxels": 0, "volume_ml": 0.0}
    judged = judge.judge(evidence, 0, rows, 1024)
    assert judged.expected_dice["myocardium"] == 0 and judged.review


def test_the_file_holds_plain_json(tmp_path: Path, weights: Path) -> None:
    write_calibration(tmp_path / "quality.json", a_calibration(weights))
    content = json.loads((tmp_path / "quality.json").read_text())
    assert list(content) == [
        *("format", "weights_sha256", "passes", "model", "sizes", "review_below", "made_of", "validation")
    ]
