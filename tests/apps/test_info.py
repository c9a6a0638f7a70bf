# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from monai.utils.component_store import ComponentStore

from pranet_monai.__main__ import main
from pranet_monai.apps import info
from pranet_monai.networks.backbones import BACKBONES
from pranet_monai.networks.nets import NETWORKS
from pranet_monai.networks.published import PUBLISHED


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring all takes its time; the slow test does."""
    backbones = ComponentStore("few", "backbones")
    backbones.add("pvt_v2_b0", "", BACKBONES["pvt_v2_b0"])
    monkeypatch.setattr(info, "BACKBONES", backbones)
    monkeypatch.setattr(info, "PUBLISHED", [entry for entry in PUBLISHED if "RES-V2.pth" in entry.checkpoints])


def test_json(few: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "networks", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["networks"] == [
        {
            "name": "PraNet-V2", "network": "PraNetV2", "backbone": "res2net50", "in_channels": 3, "out_channels": 1,
            "parameters": 30_499_830, "gmacs": 13.0, "image_size": 352, "official_checkpoints": ["RES-V2.pth"],
            "license": "MIT",
        }
    ]  # fmt: skip
    (backbone,) = described["backbones"]
    assert backbone["channels"] == [32, 64, 160, 256]
    assert backbone["license"] == "Apache-2.0"


def test_table(few: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "networks"]) == 0
    printed = capsys.readouterr().out
    for part in ("PraNet-V2", "30.50 M", "13.0", "RES-V2.pth", "32, 64, 160, 256", "pvt_v2_b0.in1k"):
        assert part in printed


@pytest.mark.slow
def test_everything() -> None:
    """GMACs as counted on the original code; every network of the family has a row."""
    rows = info.describe_networks()
    gmacs = {row["name"]: row["gmacs"] for row in rows["networks"]}
    assert gmacs["PVT-PraNet-V2"] == 12.05
    assert gmacs["EMCAD-B2 + DSRA"] == 4.45
    assert gmacs["MIST + DSRA, Synapse"] == 35.06
    assert gmacs["MERIT + DSRA, cascaded"] == 34.06
    assert {row["network"] for row in rows["networks"]} == set(NETWORKS.names) - {"DSRAFlexibleUNet"}
    assert [row["name"] for row in rows["backbones"]] == list(BACKBONES.names)
