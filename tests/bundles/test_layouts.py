# SPDX-License-Identifier: Apache-2.0
"""Every layout that check-data approves trains a bundle, is segmented by it, and its references judge the masks."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pranet_monai.apps.check_data import check_data
from pranet_monai.apps.evaluate import evaluate

from tests.data.layouts import LAYOUTS, Writer, papers_arrays, polyps
from tests.data.samples import Sample, made_sample, real_sample

from .conftest import ROOT, read_json
from .test_run import rows_of, run_here
from .test_train import train

BUNDLE_OF = {
    "acdc": "acdc_emcad_dsra",
    "synapse": "synapse_emcad_dsra",
    "kits23": "kits_emcad_dsra",
    "chaos_mr": "chaos_mr_emcad_dsra",
    "hippocampus": "hippocampus_emcad_dsra",
}
VOLUMES = [layout[:4] for layout in LAYOUTS if layout[0] in BUNDLE_OF]  # AMOS has no bundle
VOLUMES += [("synapse", "ct", 9, papers_arrays("synapse")), ("acdc", "acdc", 4, papers_arrays("acdc"))]


def dice_of(output: Path) -> dict[tuple[str, str], str]:
    with (output / "report" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {(last_part(row["case"]), row["organ"]): row["dice"] for row in rows}


def last_part(case: str) -> str:
    """A case's name, where all files are called the same that of its folder."""
    return case.removesuffix("/imaging").rpartition("/")[2]


def is_usable(name: str, data: Path, tmp_path: Path) -> None:
    """Approved, trained on, segmented and judged; twice, with one answer."""
    check = check_data(name, data, quiet=True)
    assert all("the data set has" in problem for problem in check.problems), "nothing but that it isn't all of it"
    labelled = [case for case in check.found.cases if "label" in case]
    patients = sorted({case.get("patient", Path(case["case"]).name) for case in labelled})
    (tmp_path / "split.json").write_text(json.dumps({"parts": {"train": patients}}))
    bundle = ROOT / "bundles" / f"{BUNDLE_OF.get(name, 'polyp_pranet_v2_lite')}_segmentation"
    small: dict[str, Any] = {"network_def#backbone": "resnet18"}
    options = {"split": str(tmp_path / "split.json"), "train_part": "train", "val_part": [], "ckpt_dir": str(tmp_path)}
    train(bundle, data, tmp_path / "runs", **options, **small, **{"network_def#pretrained": False})

    weights = {"checkpointloader#load_path": str(tmp_path / "model_trained.pt")}
    out = tmp_path / "out"
    assert run_here(bundle, data, out, **small, **weights, **{"report#previews": False}) == 0
    assert {case["case"] for case in labelled} <= set(rows_of(out))
    assert {case for case, _ in dice_of(out)} == {last_part(case["case"]) for case in labelled}
    label_map = read_json(bundle / "configs" / "inference.json")["label_map"]["name"]
    evaluate(out, data, label_map, output_dir=tmp_path / "judged", previews=False, quiet=True)
    assert dice_of(tmp_path / "judged") == dice_of(out)


@pytest.mark.parametrize("origin", ["made", pytest.param("real", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "kind", "classes", "write"), VOLUMES)
def test_volumes(
    name: str, kind: str, classes: int, write: Writer, origin: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    real = origin == "real"
    sample: Sample = real_sample(request.getfixturevalue("test_data"), kind, classes) if real else made_sample(classes)
    write(tmp_path / "data", sample)
    is_usable(name, tmp_path / "data", tmp_path)


def test_images(tmp_path: Path) -> None:
    polyps(tmp_path / "data")
    is_usable("polyp", tmp_path / "data", tmp_path)
