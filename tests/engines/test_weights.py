# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from pranet_monai.engines.weights import WeightsLoader, find_weights, load_weights, start_from
from pranet_monai.errors import UsageError
from pranet_monai.networks.nets import EMCADNet


def network() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


def bundle(root: Path, content: Any, published: str | None = None) -> Path:
    """A bundle with a weights file, and its hash in large_files.yml where one is given."""
    path = root / "models" / "model.pt"
    path.parent.mkdir()
    torch.save(content, path)
    if published is not None:
        entry = f"- path: models/model.pt\n  url: ''\n  hash_val: {published}\n  hash_type: sha256\n"
        (root / "large_files.yml").write_text(f"large_files:\n{entry}")
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("wrapped", [False, True])
def test_every_tensor_arrives(tmp_path: Path, wrapped: bool) -> None:
    source, target = network(), network()
    state = source.state_dict()
    path = bundle(tmp_path, {"model": state} if wrapped else state)
    WeightsLoader(str(path), {"model": target}).attach(engine := Engine(lambda *_: None))
    assert not torch.equal(target[0].weight, source[0].weight), "nothing happens before the run"
    engine.run([0])
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value)


def test_missing_file_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model_best.pt").touch()
    with pytest.raises(UsageError) as caught:
        find_weights(tmp_path / "models" / "model.pt", official_checkpoint="EMCAD_Synapse.pth")
    message = str(caught.value)
    assert "models/model.pt: found no such weights file (beside it: model_best.pt)" in message
    assert f"import-checkpoint EMCAD_Synapse.pth --bundle {tmp_path}," in message
    assert f"pranet-monai train {tmp_path} DATA OUTPUT" in message


def test_weights_that_were_never_released_must_be_trained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fix: train: pranet-monai train") as caught:
        load_weights(network(), tmp_path / "models" / "model.pt")
    assert "import-checkpoint" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda state: state.pop("0.bias"), "1 missing keys (0.bias)"),
        (lambda state: state.update(extra=torch.zeros(1)), "1 unknown keys (extra)"),
        (lambda state: state.update({"0.bias": torch.zeros(7)}), "1 other shapes (0.bias (7,) instead of (3,))"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path: Path, change: Any, found: str) -> None:
    target, state = network(), network().state_dict()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    change(state)
    with pytest.raises(UsageError) as caught:
        load_weights(target, bundle(tmp_path, state))
    assert found in str(caught.value) and "import-checkpoint" in str(caught.value)
    assert all(torch.equal(target.state_dict()[name], value) for name, value in before.items()), "half loaded"


def test_prefix_of_parallel_training_is_named(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in network().state_dict().items()}
    with pytest.raises(UsageError, match=r"network.module.state_dict\(\)"):
        load_weights(network(), bundle(tmp_path, state))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            {"state_dict": {}, "epoch": 3},
            r"found a dict with keys \['state_dict', 'epoch'\]; allowed: a plain state_dict",
        ),
        ([1, 2], "found a list; allowed"),
        (torch.nn.Linear(2, 3), "bytes that can't be read as weights"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: Any, found: str) -> None:
    with pytest.raises(UsageError, match=found):
        load_weights(network(), bundle(tmp_path, content))


def test_code_in_the_file_never_runs(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    with pytest.raises(UsageError, match="can't be read as weights") as refused:
        load_weights(network(), bundle(tmp_path, {"0.weight": Bomb()}))
    assert not (tmp_path / "ran").exists()
    said = str(refused.value)
    assert "is no tensor and isn't loaded" in said and "weights_only" not in said and "\n" not in said


@pytest.mark.parametrize("content", [b"", b"<html>404 not found</html>", None])
def test_broken_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = bundle(tmp_path, network().state_dict())
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(UsageError, match="bytes that can't be read as weights"):
        load_weights(network(), path)


def test_hash_is_checked_where_it_is_known(tmp_path: Path) -> None:
    path = bundle(tmp_path, network().state_dict())
    load_weights(network(), path, sha256=sha256(path).upper())
    with pytest.raises(UsageError, match=f"SHA-256 {sha256(path)}; allowed: 0000"):
        load_weights(network(), path, sha256="0000")


def test_published_hash_of_the_bundle_is_checked(tmp_path: Path) -> None:
    path = bundle(tmp_path, network().state_dict(), published="00ff")
    with pytest.raises(UsageError, match="allowed: 00ff, the published ones"):
        load_weights(network(), path)
    listing = tmp_path / "large_files.yml"
    listing.write_text(listing.read_text().replace("00ff", sha256(path)))
    load_weights(network(), path)
    own = path.with_name("my_training.pt")
    torch.save(network().state_dict(), own)
    load_weights(network(), own)  # isn't listed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("large_files: [", "found text that is not valid YAML"),
        ("large_files: 3", "found int in place of a list"),
        ("just text", "found str in place of a list"),
        ("large_files: [models/model.pt]", "found the entry 'models/model.pt'"),
        ("large_files: [{hash_val: 00ff, hash_type: sha256}]", "found the entry"),
        ("large_files: [{path: models/model.pt, hash_type: sha256}]", "found no hash_val for models/model.pt"),
    ],
)
def test_malformed_large_files_are_wrong_use(tmp_path: Path, text: str, found: str) -> None:
    path = bundle(tmp_path, network().state_dict())
    (tmp_path / "large_files.yml").write_text(text)
    with pytest.raises(UsageError, match="large_files.yml: ") as refused:
        load_weights(network(), path)
    assert found in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "large_files:", "large_files: []", "large_files: [{path: models/model.pt}]"])
def test_large_files_without_a_hash_ask_for_none(tmp_path: Path, text: str) -> None:
    path = bundle(tmp_path, network().state_dict())
    (tmp_path / "large_files.yml").write_text(text)
    load_weights(network(), path)


def test_one_network_per_loader() -> None:
    with pytest.raises(UsageError, match="allowed is one network"):
        WeightsLoader("model.pt", {"model": network(), "optimizer": network()})


def test_fine_tuning_takes_over_all_but_the_class_maps(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, target = network(), torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    source.append(torch.nn.Linear(3, 2)), target.append(torch.nn.Linear(3, 5))
    own = target[2].weight.clone()
    path = bundle(tmp_path, source.state_dict())
    with caplog.at_level("INFO", logger="pranet_monai"):
        start_from(target, path)
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[2].weight, own), "five classes begin anew"
    assert "7 of 9 tensors taken over; new: 2.bias, 2.weight" in caplog.text
    start_from(target, None)
    assert torch.equal(target[0].weight, source[0].weight), "no weights, no change"


def test_fine_tuning_begins_with_the_state_of_a_killed_training_too(tmp_path: Path) -> None:
    source, target = network(), network()
    torch.save({"network": source.state_dict(), "optimizer": {"state": {}}, "epoch": 3}, tmp_path / "training_state.pt")
    start_from(target, tmp_path / "training_state.pt")
    assert torch.equal(target[0].weight, source[0].weight)


def test_fine_tuning_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"finetune_from .*mine.pt: found no such file; allowed: weights of the same"):
        start_from(network(), tmp_path / "mine.pt")


@pytest.mark.parametrize(("channels", "others"), [(1, 3), (3, 1), (1, 5)])
def test_fine_tuning_changes_the_number_of_channels(tmp_path: Path, channels: int, others: int) -> None:
    """Networks of three channels have no stem, those of any other number have one."""
    source, target = (EMCADNet(n, 2, backbone="resnet18") for n in (channels, others))
    start_from(target, bundle(tmp_path, source.state_dict()))
    states = source.state_dict(), target.state_dict()
    shared = [name for name in states[0].keys() & states[1].keys() if not name.startswith("stem.")]
    assert len(shared) > 100 and all(torch.equal(states[0][name], states[1][name]) for name in shared)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"0.weight": torch.zeros(3, 2)}, "6 missing keys"),
        ({**network().state_dict(), "head.weight": torch.zeros(1)}, "1 unknown keys"),
        ({name: value.new_zeros(9, 9) for name, value in network().state_dict().items()}, "7 other shapes"),
    ],
    ids=["missing", "unknown", "nothing fits"],
)
def test_fine_tuning_refuses_weights_of_another_network(tmp_path: Path, state: Any, found: str) -> None:
    with pytest.raises(UsageError, match=found):
        start_from(network(), bundle(tmp_path, state))
