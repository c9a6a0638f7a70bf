# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pranet_monai.planning.description import Description, read_description


def written(folder: Path, content: Any) -> Description:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "dataset.json").write_text(text, encoding="utf-8")
    return read_description(folder)


def test_the_decathlons(tmp_path: Path) -> None:
    said = written(
        tmp_path,
        {
            "name": "Spleen", "reference": "Somewhere", "licence": "CC BY-SA 4.0", "modality": {"0": "CT"},
            "labels": {"0": "background", "1": "Left Kidney", "2": "spleen"},
        },
    )  # fmt: skip
    assert said.names == {1: "left_kidney", 2: "spleen"} and said.modalities == ("CT",)
    assert (said.title, said.source, said.licence) == ("Spleen", "Somewhere", "CC BY-SA 4.0")
    (tmp_path / "imagesTr").mkdir()
    assert read_description(tmp_path / "imagesTr") == said, "the folder of the images is often given"


def test_nnunets_with_regions_and_an_ignored_label(tmp_path: Path) -> None:
    labels = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing": [3], "ignore": 4}
    said = written(tmp_path, {"channel_names": {"0": "T2"}, "labels": labels, "file_ending": ".nii.gz"})
    assert said.names == {1: "class_1", 2: "class_2", 3: "enhancing"}
    assert said.regions == {"whole_tumor": (1, 2, 3), "tumor_core": (2, 3), "enhancing": (3,)}
    assert said.ignored == (4,)
    assert said.remarks == (f"{tmp_path / 'dataset.json'}: ignore becomes background",)


def test_the_decathlons_with_an_unlabelled_number(tmp_path: Path) -> None:
    said = written(tmp_path, {"labels": {"0": "background", "1": "Unlabeled", "2": "liver"}})
    assert said.names == {2: "liver"} and said.ignored == (1,)
    assert said.remarks == (f"{tmp_path / 'dataset.json'}: Unlabeled becomes background",)


def test_names_that_become_one_stay_apart(tmp_path: Path) -> None:
    assert written(tmp_path, {"labels": {"Cyst-1": 1, "cyst 1": 2}}).names == {1: "cyst_1", 2: "cyst_1_2"}


@pytest.mark.parametrize(
    "content", ["{", "[]", {"labels": [1, 2]}, {"labels": {"liver": "one"}}, {"labels": {"a": None}}]
)
def test_what_cant_be_understood_describes_nothing(tmp_path: Path, content: Any) -> None:
    said = written(tmp_path, content)
    assert said.names == {} and len(said.remarks) == 1
    assert "dataset.json: can't be understood" in said.remarks[0]


def test_no_file(tmp_path: Path) -> None:
    assert read_description(tmp_path / "data") == Description()
