# SPDX-License-Identifier: Apache-2.0
"""What the studies of a MONAI Label server are scored by, where one of them is bad; needs ``pranet-monai[label]``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from pranet_monai.bundle_store import find_bundle
from pranet_monai.data.phantom import write_phantom


def test_a_bad_study_keeps_no_other_from_its_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = pytest.importorskip("monailabel.datastore.local", reason="MONAI Label isn't installed")
    from pranet_monai.label.infer import BundleSegmentation
    from pranet_monai.label.scoring import EXPECTED_DICE, ExpectedDiceScoring, LowestExpectedDice

    (tmp_path / "masks").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "masks"))
    write_phantom(tmp_path / "phantom", 1)
    studies = tmp_path / "studies"
    studies.mkdir()
    (studies / "a.nii.gz").write_bytes(b"no volume")
    next((tmp_path / "phantom" / "imagesTr").glob("*_ED.nii.gz")).rename(studies / "b.nii.gz")
    datastore = local.LocalDatastore(str(studies), auto_reload=False)
    scoring = ExpectedDiceScoring(BundleSegmentation(find_bundle("acdc")))

    assert scoring({"device": "cpu"}, datastore)["scored"] == 2
    bad, good = (datastore.get_image_info(image)[EXPECTED_DICE] for image in ("a", "b"))
    assert bad["dice"] is None and "a.nii.gz" in bad["reason"]
    assert 0 < good["dice"] <= 1 and "reason" not in good
    assert LowestExpectedDice()({}, datastore)["id"] == "b"  # type: ignore[index]
    assert scoring({"device": "cpu"}, datastore)["kept"] == 2, "both are told of these weights"
    assert not list((tmp_path / "masks").iterdir())
