# SPDX-License-Identifier: Apache-2.0
"""What MONAI, the model zoo and MONAI Label ask of a bundle, and what its card says of itself."""

from __future__ import annotations

import json
import re
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, ckpt_export, verify_metadata, verify_net_in_out
from pranet_monai.__main__ import COMMANDS
from pranet_monai.apps.build_bundles import build_bundle
from pranet_monai.data.labels import get_label_map
from pranet_monai.metrics import summarise
from pranet_monai.networks.nets import NETWORKS
from pranet_monai.networks.published import PUBLISHED
from pranet_monai.storage.tables import read_csv, strict_json

from .conftest import BUNDLES, BUNDLES_TO_BUILD, ROOT, network_of, read_json, training_options

SCHEMA = Path(__file__).with_name("meta_schema.json")
LARGEST_FILE = 40 * 2**20
WORDS_OF_A_PAGE = 450


def test_generated_files_are_up_to_date(bundle: Path) -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, text in build_bundle(bundle).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert not stale, f"run: pranet-monai build-bundles; not up to date: {stale}"


def test_files_that_a_bundle_needs(bundle: Path) -> None:
    needed = ["LICENSE", "docs/README.md", "docs/data_license.txt", "configs/logging.conf"]
    configs = ("metadata", "inference", "evaluate", "train", "multi_gpu_train", "multi_gpu_evaluate")
    needed += [f"configs/{name}.json" for name in configs]
    assert not [name for name in needed if not (bundle / name).is_file()]
    assert "segmentation" in bundle.name  # MONAI Label takes the type of the model from the name
    assert not [path for path in bundle.rglob("*") if path.is_file() and path.stat().st_size > LARGEST_FILE]


def test_card_is_one_page(bundle: Path) -> None:
    """With the same sections in the same order, and a way to all else there is to know."""
    docs = bundle / "docs"
    card = (docs / "README.md").read_text(encoding="utf-8")
    scored = (bundle / "models" / "model.pt").is_file()
    middle = ["Scores", "Where it fails"] if scored else ["Weights"]
    expected = ["What it is for", "What it is not for", *middle, "Data and licence", "How to run it"]
    assert re.findall(r"^## (.*)", card, re.MULTILINE) == expected
    prose = re.sub(r"<!-- scores.*end of scores -->", "", card, flags=re.DOTALL)
    assert len([word for word in prose.split() if re.search(r"\w", word)]) <= WORDS_OF_A_PAGE
    assert "](training.md)" in card and ("](failures/" in card) == scored
    for page in (docs / "README.md", docs / "training.md"):
        links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        assert not [link for link in links if "://" not in link and not (docs / link).exists()], page


def test_card_runs_this_bundle(bundle: Path) -> None:
    short_name = read_json(bundle / "configs" / "metadata.json")["short_name"]
    commands = re.findall(r"^pranet-monai (.*?)(?:  #|$)", (bundle / "docs" / "README.md").read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        name, *words = command.split()
        assert name in COMMANDS
        assert short_name in words


def test_metadata(bundle: Path) -> None:
    verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), filepath=str(SCHEMA))
    metadata = read_json(bundle / "configs" / "metadata.json")
    assert next(iter(metadata["changelog"])) == metadata["version"], "the newest changelog entry stands first"
    image, pred = (metadata["network_data_format"][side] for side in ("inputs", "outputs"))
    assert next(iter(image)) == "image"
    assert next(iter(pred)) == "pred"
    labels = get_label_map(read_json(bundle / "configs" / "inference.json")["label_map"]["name"]).labels
    names = list(labels.values())
    names = names[1:] if pred["pred"]["num_channels"] == 1 else names  # one channel of probabilities has no background
    assert pred["pred"]["channel_def"] == {str(index): name for index, name in enumerate(names)}


def test_short_names_are_unique() -> None:
    """And short, so that they are worth typing."""
    names = [read_json(bundle / "configs" / "metadata.json")["short_name"] for bundle in BUNDLES]
    assert len(set(names)) == len(names)
    assert not set(names) & {bundle.name for bundle in BUNDLES}
    assert max(map(len, names)) <= 16


def test_official_checkpoint_is_of_this_network(bundle: Path) -> None:
    config, metadata = (read_json(bundle / "configs" / f"{name}.json") for name in ("inference", "metadata"))
    official = config["official_checkpoint"]
    if official is None:
        pytest.skip("none was released")
    (published,) = [published for published in PUBLISHED if official in published.checkpoints]
    arguments = {name: value for name, value in config["network_def"].items() if name != "_target_"}
    defaults = {name: known.default for name, known in signature(NETWORKS[network_of(bundle)]).parameters.items()}
    assert network_of(bundle) == published.network
    assert defaults | arguments == defaults | published.arguments
    shape = metadata["network_data_format"]["inputs"]["image"]["spatial_shape"]
    assert shape == [published.image_size] * 2


def test_inference_properties(runnable_bundle: Path, labelled_data: Path) -> None:
    config = runnable_bundle / "configs" / "inference.json"
    workflow = ConfigWorkflow(
        config_file=str(config),
        workflow_type="inference",
        logging_file=False,
        bundle_root=str(runnable_bundle),
        dataset_dir=str(labelled_data),
        output_dir=str(runnable_bundle / "eval"),
    )
    workflow.initialize()
    assert workflow.check_properties() == []


def test_training_validates_as_inference_infers(bundle: Path) -> None:
    infer, train = (ConfigParser(read_json(bundle / "configs" / f"{name}.json")) for name in ("inference", "train"))
    inferers = [parser.get_parsed_content(key) for parser, key in ((infer, "inferer"), (train, "validate#inferer"))]
    assert [getattr(inferer, "axes", None) for inferer in inferers] == [getattr(inferers[0], "axes", None)] * 2
    inferers = [getattr(inferer, "inferer", inferer) for inferer in inferers]  # several views hold one for all of them
    ours, other = ({**vars(inferer), "output": "labels"} for inferer in inferers)  # polyps' masks are probabilities
    assert vars(ours.pop("executor")) == vars(other.pop("executor"))
    assert ours == other
    assert infer.get_parsed_content("network_def").in_channels % (2 * inferers[0].adjacent_slices + 1) == 0
    assert train["train#dataset#adjacent_slices"] == "@adjacent_slices"


def test_train_properties(runnable_bundle: Path, labelled_data: Path) -> None:
    workflow = ConfigWorkflow(
        config_file=str(runnable_bundle / "configs" / "train.json"),
        workflow_type="train",
        logging_file=False,
        bundle_root=str(runnable_bundle),
        output_dir=str(runnable_bundle / "runs"),
        **training_options(labelled_data),
    )
    workflow.initialize()
    assert workflow.check_properties() == []
    for handler in workflow.parser["train#handlers"]:  # MONAI Label looks for a checkpoint loader among them
        assert "_target_" in handler
    assert "network" in workflow.parser


@pytest.mark.parametrize("bundle", BUNDLES_TO_BUILD)
def test_network_gives_what_the_metadata_say(bundle: Path) -> None:
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "inference.json"),
        device="cpu",
    )


def test_export_to_torchscript(runnable_bundle: Path) -> None:
    metadata = read_json(runnable_bundle / "configs" / "metadata.json")["network_data_format"]
    image, classes = metadata["inputs"]["image"], metadata["outputs"]["pred"]["num_channels"]
    exported = runnable_bundle / "models" / "model.ts"
    ckpt_export(
        net_id="network_def",
        filepath=str(exported),
        ckpt_file=str(runnable_bundle / "models" / "model.pt"),
        meta_file=str(runnable_bundle / "configs" / "metadata.json"),
        config_file=str(runnable_bundle / "configs" / "inference.json"),
    )
    x = torch.rand(1, image["num_channels"], *image["spatial_shape"])
    with torch.no_grad():
        logits = torch.jit.load(exported).eval()(x)
    assert logits.shape == (1, classes, *image["spatial_shape"])


def test_scores_come_from_the_rows_of_the_evaluation(bundle: Path) -> None:
    folder = bundle / "docs" / "validation"
    if not (bundle / "models" / "model.pt").is_file():
        pytest.skip("no weights, no scores")
    stated = read_json(folder / "summary.json")
    rows = read_csv(folder / "metrics.csv")
    metrics = [name for name, value in stated["overall"].items() if isinstance(value, dict)]
    assert "dice" in metrics
    recomputed = json.loads(json.dumps(strict_json(summarise(rows, metrics=metrics))))
    assert stated["cases"] == recomputed["cases"]
    for part in ("organs", "overall"):
        expected, found = flat(recomputed[part]), flat(stated[part])
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def flat(tree: Any, name: str = "") -> dict[str, Any]:
    """Path → number of nested dictionaries and lists."""
    if isinstance(tree, list):
        tree = dict(enumerate(tree))
    if not isinstance(tree, dict):
        return {name: tree}
    return {path: leaf for key, item in tree.items() for path, leaf in flat(item, f"{name}/{key}").items()}


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda folder: folder.name)
def test_fine_tuning_wants_no_imagenet_weights(bundle: Path) -> None:
    """Whoever has weights to begin with needs no package of others, as an annotator's server that trains."""
    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "train.json")
    parser["finetune_from"] = "model.pt"
    assert parser.get_parsed_content("network_def#pretrained") is False
