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
    for mark, made in (("rules", study.table_of_rules), ("parts", study.table_of_parts)):
        assert page.split(f"<!-- {mark} -->\n")[1].split(f"<!-- end of {mark}")[0] == made(CONFIG, finished)


def test_a_variant_changes_the_network_or_what_its_name_says(study: ModuleType) -> None:
    record = {"network": {"dsra": False, "gain": "none"}, "variants": {"x": {"dsra": True, "loss#bce_weight": 0.0}}}
    assert study.options_of(record, "x") == {"network_def": {"dsra": True, "gain": "none"}, "loss#bce_weight": 0.0}


RULES = pd.DataFrame(
    [
        {"cell": "s/without/0", "dice": 0.50, "dice_finest": 0.50, "dice_sum": 0.48},
        {"cell": "s/without/1", "dice": 0.52, "dice_finest": 0.52, "dice_sum": 0.48},
        {"cell": "s/with_it/0", "dice": 0.50, "dice_finest": 0.53, "dice_sum": 0.50},
        {"cell": "old/with_it/0", "dice": 0.5, "dice_finest": float("nan"), "dice_sum": float("nan")},
    ]
)
RECORD = {"title": "T", "seeds": [0, 1], "variants": {"without": {}, "with it": {}, "not yet": {}}}


def test_rules_are_shown_where_they_were_measured(study: ModuleType) -> None:
    # finest - sum of "without": 0.02, 0.04; their mean 0.03, standard error 0.01, t(0.975, 1) = 12.706
    assert study.table_of_rules({"s": RECORD, "old": RECORD}, RULES).splitlines()[2:] == [
        "| T | without | 2 | 0.5100 ± 0.0141 | 0.4800 ± 0.0000 | +0.0300 [-0.0971, +0.1571] |",
        "| T | with it | 1 | 0.5300 | 0.5000 | +0.0300 |",
    ]


def test_parts_are_paired_by_seed_and_by_rule(study: ModuleType) -> None:
    parts = {"it": ["with it", "without"], "what isn't there yet": ["not yet", "without"]}
    other = RULES.assign(cell=RULES["cell"].str.replace("s/", "t/"), dice_finest=RULES["dice_finest"] * 2)
    studies = {"s": {**RECORD, "parts": parts}, "t": {**RECORD, "title": "U", "parts": parts}, "old": RECORD}
    shown = study.table_of_parts(studies, pd.concat([RULES[:3], other[:3]])).splitlines()[2:]
    # 0.03 and 0.06: mean 0.045, standard error 0.015, t(0.975, 1) = 12.706
    assert shown == [
        "| it | T | +0.0300 | +0.0200 | 1 |",
        "| it | U | +0.0600 | +0.0200 | 1 |",
        "| it | all of these | +0.0450 [-0.1456, +0.2356] | +0.0200 [+0.0200, +0.0200] | 2 |",
    ]


@pytest.mark.parametrize("name", [name for name in CONFIG if "parts" in CONFIG[name]])
def test_the_variants_of_a_part_differ_in_it_alone(name: str) -> None:
    variants = CONFIG[name]["variants"]
    for with_it, without in CONFIG[name]["parts"].values():
        ours, theirs = variants[with_it], variants[without]
        differ = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
        assert len(differ) == 1 or without == "without DSRA"


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
