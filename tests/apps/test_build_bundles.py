# SPDX-License-Identifier: Apache-2.0
"""The builder on a small set of bundles of the test's own; the project's bundles are checked in tests/bundles."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser
from pranet_monai.apps import build_bundles
from pranet_monai.errors import UsageError

BUNDLE = """
label_map: acdc
sizes: [3, 4]
network: {_target_: Net, out: "${out_channels}"}
"""
FACTS = """
network: {_target_: Nothing}
geometry: {pixdim: [1, 2], "...${amounts}": null}
amounts: {zoom: 0.5}
load: [{keys: image}, "...${extra}", last]
extra: [1, 2]
greeting: hello ${bundle}
"""
TEMPLATE = """
...${geometry}:
network_def: ${network}
transforms: ["...${load}"]
sizes: ${sizes}
text: ${greeting}, $@network_def.to('cpu')
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "LICENSE": "licence",
        "parts/facts.yaml": FACTS,
        "parts/logging.conf": "[loggers]",
        "parts/configs/inference.yaml": TEMPLATE,
        "bundles/tiny_segmentation/bundle.yaml": BUNDLE,
        "bundles/tiny_segmentation/docs/README.md": "# card",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(build_bundles, "PARTS", tmp_path / "parts")
    return tmp_path / "bundles"


def _run(root: Path, *options: str) -> int:
    return build_bundles.run(argparse.Namespace(root=root, check="--check" in options))


def _set(root: Path, old: str, new: str, name: str = "tiny_segmentation/bundle.yaml") -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


def test_config_is_complete(root: Path) -> None:
    assert _run(root) == 0
    assert json.loads((root / "tiny_segmentation/configs/inference.json").read_text()) == {
        "pixdim": [1, 2],
        "zoom": 0.5,
        "network_def": {"_target_": "Net", "out": 4},
        "transforms": [{"keys": "image"}, 1, 2, "last"],
        "sizes": [3, 4],
        "text": "hello tiny_segmentation, $@network_def.to('cpu')",
    }
    assert (root / "tiny_segmentation/LICENSE").read_text() == "licence"


def test_exception_is_merged_into_one_config(root: Path) -> None:
    _set(root, "sizes: [3, 4]", "sizes: [3, 4]\nconfigs: {inference: {network_def: {dsra: false}}}")
    _set(
        root,
        "network_def: ${network}",
        "network_def: {_target_: A, dsra: true}\nn: ${network}",
        "../parts/configs/inference.yaml",
    )
    _run(root)
    built = json.loads((root / "tiny_segmentation/configs/inference.json").read_text())
    assert built["network_def"] == {"_target_": "A", "dsra": False}


RECIPE = """
sizes: [5]
greeting: good day
configs: {inference: {network_def: {pretrained: true}}}
"""


def test_recipe_stands_between_shared_and_own_facts(root: Path) -> None:
    (root / "../parts/recipes").mkdir()
    (root / "../parts/recipes/paper.yaml").write_text(RECIPE)
    _set(root, "label_map: acdc", "label_map: acdc\nrecipe: paper")
    _run(root)
    built = json.loads((root / "tiny_segmentation/configs/inference.json").read_text())
    assert built["sizes"] == [3, 4], "the bundle's own"
    assert built["text"].startswith("good day"), "the recipe's"
    assert built["network_def"] == {"_target_": "Net", "out": 4, "pretrained": True}

    (root / "../parts/recipes/paper.yaml").write_text(RECIPE + "greting: hi")
    with pytest.raises(UsageError, match=r"nothing uses the facts \['greting'\]"):
        _run(root)
    (root / "../parts/recipes/paper.yaml").unlink()
    with pytest.raises(UsageError, match="paper.yaml is missing"):
        _run(root)


def test_recipe_may_stand_on_another(root: Path) -> None:
    (root / "../parts/recipes").mkdir()
    (root / "../parts/recipes/paper.yaml").write_text(RECIPE)
    (root / "../parts/recipes/mine.yaml").write_text("recipe: paper\ngreeting: good evening")
    _set(root, "label_map: acdc\nsizes: [3, 4]", "label_map: acdc\nrecipe: mine")
    _run(root)
    built = json.loads((root / "tiny_segmentation/configs/inference.json").read_text())
    assert built["sizes"] == [5] and built["text"].startswith("good evening")
    assert built["network_def"]["pretrained"] is True


def test_a_bundle_states_its_own_classes(root: Path) -> None:
    """Two numbers of one name are one class; the config makes the label map that the metadata describe."""
    classes = "{1: liver, 2: my_organ, 5: liver, 7: background}"
    _set(root, "label_map: acdc", f"short_name: mine\nclasses: {classes}")
    _set(root, "sizes: ${sizes}", "sizes: ${sizes}\nmap: ${label_map_def}", "../parts/configs/inference.yaml")
    stated = "stated_label_map: {_target_: pranet_monai.data.labels.stated_label_map, name: '${short_name}'"
    _set(root, "extra:", f"{stated}, classes: '${{classes}}'}}\nextra:", "../parts/facts.yaml")
    _run(root)
    config = ConfigParser(json.loads((root / "tiny_segmentation/configs/inference.json").read_text()))
    assert config["network_def"]["out"] == 3
    made = config.get_parsed_content("map")
    assert dict(made.labels) == {0: "background", 1: "liver", 2: "my_organ"}
    assert dict(made.raw_values) == {0: 0, 1: 1, 2: 2, 5: 1, 7: 0}


def test_check_finds_a_stale_file_and_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(root, "--check") == 1
    assert "not up to date" in capsys.readouterr().out
    assert not (root / "tiny_segmentation/configs").exists()
    assert _run(root) == 0
    assert _run(root, "--check") == 0
    _set(root, "hello", "good morning", "../parts/facts.yaml")
    assert _run(root, "--check") == 1


@pytest.mark.parametrize(
    ("old", "new", "name", "message"),
    [
        ("sizes: [3, 4]", "size: [3, 4]", "tiny_segmentation/bundle.yaml", "no fact 'sizes'; there are .*greeting"),
        (
            "sizes: [3, 4]",
            "sizes: 1\npixdimm: 2",
            "tiny_segmentation/bundle.yaml",
            r"nothing uses the facts \['pixdimm'\]",
        ),
        ("hello ${bundle}", "${greeting}", "../parts/facts.yaml", "'greeting' is defined through itself"),
        (
            "sizes: [3, 4]",
            "sizes: 1\nconfigs: {infer: {}}",
            "tiny_segmentation/bundle.yaml",
            r"\['infer'\] are not among",
        ),
        (
            'geometry: {pixdim: [1, 2], "...${amounts}": null}',
            "geometry: [1]",
            "../parts/facts.yaml",
            "'geometry' .* a mapping",
        ),
        ("label_map: acdc", "label_map: [", "tiny_segmentation/bundle.yaml", "bundle.yaml is not YAML"),
        ("label_map: acdc", "", "tiny_segmentation/bundle.yaml", "must name its label_map, one of acdc"),
        ("label_map: acdc", "label_map: acdc\nclasses: {1: a}", "tiny_segmentation/bundle.yaml", "one of the two"),
        ("label_map: acdc", "classes: {1: My Liver}", "tiny_segmentation/bundle.yaml", "named .'My Liver'.*lower-case"),
        ("label_map: acdc", "classes: {one: a}", "tiny_segmentation/bundle.yaml", "found 'one' for a number"),
        ("label_map: acdc", "classes: {0: liver}", "tiny_segmentation/bundle.yaml", "0 is liver"),
        ("label_map: acdc", "label_map: heart", "tiny_segmentation/bundle.yaml", "heart.* acdc"),
    ],
)
def test_mistakes_are_named(root: Path, old: str, new: str, name: str, message: str) -> None:
    _set(root, old, new, name)
    with pytest.raises(ValueError, match=message):
        _run(root)


def test_no_bundles_here(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no .*bundle.yaml found"):
        build_bundles.find_bundles(tmp_path)
