# SPDX-License-Identifier: Apache-2.0
"""The command that makes the README's sample."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pranet_monai.__main__ import main
from pranet_monai.apps.segmenter import Segmenter
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import get_label_map
from pranet_monai.data.phantom import write_phantom
from pranet_monai.metrics import dice


def test_sample_is_a_labelled_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phantom", str(tmp_path / "sample"), "--patients", "1"]) == 0
    assert "2 volumes of 1 patients" in capsys.readouterr().out
    cases = find_cases(tmp_path / "sample", labels="required")
    assert len(cases) == 2
    for case in cases:
        assert "error" not in case
        assert np.unique(np.asarray(nib.load(case["label"]).dataobj)).tolist() == [0, 1, 2, 3]


def test_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["phantom", str(tmp_path / "file")]) == 2
    assert "can't write there" in capsys.readouterr().err
    assert main(["phantom", str(tmp_path), "--patients", "0"]) == 2


def test_shipped_weights_find_each_chamber_of_the_sample(tmp_path: Path) -> None:
    """The README's first command: what a newcomer sees is right in each of the four volumes."""
    segmenter = Segmenter("acdc")
    chambers = get_label_map("acdc").labels
    for image in write_phantom(tmp_path, n_cases=2):
        mask = segmenter(image).mask
        label = np.asarray(nib.load(tmp_path / "labelsTr" / image.name).dataobj)
        found = {chambers[number]: dice(mask == number, label == number) for number in (1, 2, 3)}
        assert min(found.values()) >= 0.85, f"{image.name}: {found}"
