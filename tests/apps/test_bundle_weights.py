# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
import yaml
from pranet_monai.__main__ import main
from pranet_monai.apps.bundle_weights import to_half_precision
from pranet_monai.bundle_store import CALIBRATION, SCORES
from pranet_monai.engines.weights import load_weights
from pranet_monai.networks.nets import EMCADNet

from tests.apps.test_import_checkpoint import ARGUMENTS, make_bundle


@pytest.mark.parametrize("half", [False, True])
def test_trained_weights_into_a_bundle(half: bool, tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "heart")
    trained = EMCADNet(**ARGUMENTS)
    trained.decoder.convolutions[0].widen.adn.N.running_var.fill_(1e6)  # more than 16 bit hold
    torch.save(trained.state_dict(), tmp_path / "model_trained.pt")
    command = ["bundle-weights", str(tmp_path / "model_trained.pt"), "--bundle", str(folder)]
    assert main([*command, "--half"] if half else command) == 0

    file = folder / "models" / "model.pt"
    (listed,) = yaml.safe_load((folder / "large_files.yml").read_text())["large_files"]
    assert listed["hash_val"] == hashlib.sha256(file.read_bytes()).hexdigest()
    ratio = file.stat().st_size / (tmp_path / "model_trained.pt").stat().st_size
    assert 0.48 < ratio < 0.56 if half else ratio == pytest.approx(1, abs=0.01)

    loaded = EMCADNet(**ARGUMENTS)
    load_weights(loaded, file)
    for name, value in loaded.state_dict().items():
        expected = trained.state_dict()[name]
        assert value.dtype == expected.dtype
        torch.testing.assert_close(value, expected, rtol=1e-3 if half else 0, atol=1e-7 if half else 0)


def test_other_weights_leave_no_scores_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_bundle(tmp_path / "heart")
    told = [folder / path for path in (*SCORES, CALIBRATION)]
    for path in [*told, kept := folder / "docs" / "validation" / "unet" / "summary.json"]:
        path.parent.mkdir(parents=True, exist_ok=True)
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        torch.save(EMCADNet(**ARGUMENTS).state_dict(), tmp_path / f"{seed}.pt")
    command = ["bundle-weights", str(tmp_path / "0.pt"), "--bundle", str(folder)]
    assert main(command) == 0
    assert "removed" not in capsys.readouterr().out
    for path in [*told, kept]:
        path.write_text("{}")
    assert main(command) == 0
    assert all(path.is_file() for path in told), "the same weights once more"
    command[1] = str(tmp_path / "1.pt")
    assert main(command) == 0
    assert not any(path.exists() for path in told) and kept.is_file()
    said = capsys.readouterr().out
    assert "removed, as they were of other weights: docs/validation/summary.json, docs/validation/metrics.csv" in said


def test_several_trainings_give_their_mean(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "heart")
    networks = [EMCADNet(**ARGUMENTS) for _ in range(3)]
    files = [str(tmp_path / f"{number}.pt") for number in range(3)]
    for network, file in zip(networks, files):
        torch.save({"model": network.state_dict()}, file)
    assert main(["bundle-weights", *files, "--bundle", str(folder)]) == 0
    mean = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert mean.keys() == networks[0].state_dict().keys()
    for name, value in mean.items():
        first, second, third = (network.state_dict()[name] for network in networks)
        if value.is_floating_point():
            torch.testing.assert_close(value, (first + second + third) / 3)
        else:
            assert torch.equal(value, third)


def test_half_leaves_counts_alone() -> None:
    state = {"n": torch.tensor(7), "bn.running_var": torch.tensor([1e6]), "conv.weight": torch.tensor([0.5])}
    kinds = {name: value.dtype for name, value in to_half_precision(state).items()}
    assert kinds == {"n": torch.int64, "bn.running_var": torch.float32, "conv.weight": torch.float16}


def test_weights_of_another_network_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_bundle(tmp_path / "heart", out_channels=9)
    torch.save(EMCADNet(**ARGUMENTS).state_dict(), tmp_path / "model_trained.pt")
    assert main(["bundle-weights", str(tmp_path / "model_trained.pt"), "--bundle", str(folder)]) == 2
    assert "other shapes" in capsys.readouterr().err
    assert not (folder / "models").exists()
