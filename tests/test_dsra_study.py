# SPDX-License-Identifier: Apache-2.0
"""The study's bookkeeping by hand-made results, and its config by building what it names."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from monai.bundle import ConfigParser

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dsra_study", ROOT / "benchmarks" / "dsra_study.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dsra_study"] = module
    spec.loader.exec_module(module)
    return module


CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "benchmarks" / "dsra_study.yaml").read_text())


@pytest.mark.parametrize("name", CONFIG)
def test_every_study_names_networks_that_exist_and_options_of_its_bundle(name: str) -> None:
    record = CONFIG[name]
    config = ConfigParser()
    config.read_config(ROOT / "bundles" / record["bundle"] / "configs" / "train.json")
    for key in record["overrides"]:
        assert config[key.rpartition("#")[0]] if "#" in key else key in config, key
        assert key in ("loss", "label_map#name") or config[key] is not None, key
    assert len(record["seeds"]) >= 2 and len(record["variants"]) >= 2
    for options in record["variants"].values():
        with torch.device("meta"):
            made = {**record["network"], **{name: value for name, value in options.items() if "#" not in name}}
            network = ConfigParser({"net": {**made, "pretrained": False}}).get_parsed_content("net").eval()
            classes = network(torch.empty(1, record["network"]["in_channels"], 64, 64)).shape[1]
        assert classes == record["network"]["out_channels"]


def test_table_pairs_by_seed(study: ModuleType, tmp_path: Path) -> None:
    record = {"title": "T", "seeds": [0, 1, 2], "variants": {"without": {}, "with it": {}}}
    for variant, scores in (("without", (0.5, 0.6, 0.7)), ("with_it", (0.6, 0.7))):
        for seed, dice in enumerate(scores):
            file = tmp_path / "s" / variant / str(seed) / "result.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps({"cell": f"s/{variant}/{seed}", "dice": dice}))
    finished = study.results({"s": record}, tmp_path)
    assert len(finished) == 5
    rows = study.table({"s": record}, finished).splitlines()[2:]
    assert rows[0] == "| T | without | 3 | 0.6000 ± 0.1000 |  |  |"
    assert rows[1] == "| T | with it | 2 | 0.6500 ± 0.0707 | +0.1000 [+0.1000, +0.1000] | 2 |"


def test_docs_show_the_committed_results(study: ModuleType) -> None:
    finished = pd.read_csv(ROOT / "benchmarks" / "dsra_study_results.csv")
    assert set(finished["cell"]) <= {cell.name for cell in study.cells(CONFIG)}
    page = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    shown = page.split("<!-- study -->\n")[1].split("<!-- end of study")[0]
    assert shown == study.table(CONFIG, finished)
    rules = page.split("<!-- rules -->\n")[1].split("<!-- end of rules")[0]
    assert rules == study.table_of_rules(finished)


def test_a_variant_changes_the_network_or_what_its_name_says(study: ModuleType) -> None:
    record = {"network": {"dsra": False, "gain": "none"}, "variants": {"x": {"dsra": True, "loss#bce_weight": 0.0}}}
    assert study.options_of(record, "x") == {"network_def": {"dsra": True, "gain": "none"}, "loss#bce_weight": 0.0}


def test_rules_are_shown_where_they_were_measured(study: ModuleType) -> None:
    rows = [
        {"cell": "a_b/c_d/0", "dice": 0.5, "dice_finest": 0.52, "dice_sum": 0.5},
        {"cell": "e/f/0", "dice": 0.5, "dice_finest": float("nan"), "dice_sum": float("nan")},
    ]
    assert study.table_of_rules(pd.DataFrame(rows)).splitlines()[2:] == ["| a b, c d, 0 | 0.5200 | 0.5000 | +0.0200 |"]


def test_a_cell_killed_before_its_result_is_trained_anew(study: ModuleType, tmp_path: Path) -> None:
    for epoch, is_left in ((1, True), (2, False)):
        torch.save({"epoch": epoch}, tmp_path / "training_state.pt")
        study._forget_finished(tmp_path / "training_state.pt", 2)
        assert (tmp_path / "training_state.pt").is_file() == is_left


def test_interval_is_students(study: ModuleType) -> None:
    # differences 0.01, 0.03: mean 0.02, standard error 0.01, t(0.975, 1) = 12.706
    assert study.paired_difference({0: 0.51, 1: 0.53}, {0: 0.5, 1: 0.5}) == "+0.0200 [-0.1071, +0.1471]"
    assert study.paired_difference({0: 0.51}, {0: 0.5, 1: 0.5}) == "+0.0100"
    assert study.paired_difference({2: 0.51}, {0: 0.5}) == ""


def test_cells_run_seed_by_seed(study: ModuleType) -> None:
    cells = list(study.cells({"s": {"seeds": [0, 1], "variants": {"a b": {}, "c": {}}}}))
    assert [cell.name for cell in cells] == ["s/a_b/0", "s/c/0", "s/a_b/1", "s/c/1"]
