# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
import yaml
from pranet_monai.__main__ import main
from pranet_monai.engines.weights import load_weights
from pranet_monai.networks.checkpoints import load_official_checkpoint
from pranet_monai.networks.nets import EMCADNet

from tests.networks.cases import load_case, weights

ARGUMENTS = {"in_channels": 1, "out_channels": 4, "backbone": "pvt_v2_b0"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("download") / "EMCAD_ACDC.pth"
    torch.save({"state_dict": weights(load_case("emcad_pvtv2b0_dual_c4_ch1_224"))}, file)
    return file


def make_bundle(folder: Path, **changes: int) -> Path:
    (folder / "configs").mkdir(parents=True)
    definition = {"_target_": "pranet_monai.networks.nets.EMCADNet", **ARGUMENTS, **changes}
    (folder / "configs" / "inference.json").write_text(json.dumps({"network_def": definition}))
    return folder


def assert_same_network(file: Path, checkpoint: Path) -> None:
    expected, found = EMCADNet(**ARGUMENTS), EMCADNet(**ARGUMENTS)
    load_official_checkpoint(expected, checkpoint)
    load_weights(found, file)
    assert all(torch.equal(value, expected.state_dict()[key]) for key, value in found.state_dict().items())


@pytest.mark.parametrize("by_name", [False, True])
def test_into_a_bundle(
    by_name: bool, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_bundle(tmp_path / "mine" / "heart")
    monkeypatch.setenv("PRANET_MONAI_BUNDLES", str(tmp_path / "mine"))
    assert main(["import-checkpoint", str(checkpoint), "--bundle", "heart" if by_name else str(folder)]) == 0
    file = folder / "models" / "model.pt"
    (listed,) = yaml.safe_load((folder / "large_files.yml").read_text())["large_files"]
    assert listed["hash_val"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert_same_network(file, checkpoint)
    assert "head of the network without DSRA: out_head4.weight" in capsys.readouterr().out
    assert sorted(path.name for path in file.parent.iterdir()) == ["model.pt"]


def test_into_a_file(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-checkpoint", str(checkpoint), "--output", str(tmp_path / "new" / "weights.pt")]) == 0
    assert_same_network(tmp_path / "new" / "weights.pt", checkpoint)
    definition = capsys.readouterr().out.split("--network_def '")[1].split("'")[0]
    assert json.loads(definition)["_target_"] == "pranet_monai.networks.nets.EMCADNet"


def test_recognising_alone(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-checkpoint", str(checkpoint)]) == 0
    printed = capsys.readouterr().out
    assert "EMCADNet(in_channels=1, out_channels=4, backbone='pvt_v2_b0', dsra=True" in printed
    assert "nothing written" in printed


def test_bundle_of_another_network(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_bundle(tmp_path / "nine_organs", out_channels=9)
    assert main(["import-checkpoint", str(checkpoint), "--bundle", str(folder)]) == 2
    printed = capsys.readouterr().err
    assert "is EMCADNet(in_channels=1, out_channels=4" in printed and '"out_channels": 9' in printed
    assert "shape [4, 256, 1, 1], the network needs [9, 256, 1, 1]" in printed
    assert not (folder / "models").exists() and not (folder / "large_files.yml").exists()


def test_wrong_use(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-checkpoint", str(tmp_path / "missing.pth")]) == 2
    assert "missing.pth does not exist" in capsys.readouterr().err
    assert main(["import-checkpoint", str(checkpoint), "--bundle", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: found no bundle of this name" in capsys.readouterr().err
