# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from monai.utils.component_store import ComponentStore
from pranet_monai.__main__ import main
from pranet_monai.apps import info_networks
from pranet_monai.networks.backbones import BACKBONES
from pranet_monai.networks.nets import NETWORKS
from pranet_monai.networks.published import PUBLISHED


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring all takes its time; the slow test does."""
    backbones = ComponentStore("few", "backbones")
    backbones.add("pvt_v2_b0", "", BACKBONES["pvt_v2_b0"])
    monkeypatch.setattr(info_networks, "BACKBONES", backbones)
    monkeypatch.setattr(info_networks, "PUBLISHED", [entry for entry in PUBLISHED if "RES-V2.pth" in entry.checkpoints])


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


def test_monais_own_unet_has_a_row(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert {entry.network for entry in PUBLISHED} == set(NETWORKS.names)
    monkeypatch.setattr(info_networks, "BACKBONES", ComponentStore("none", "backbones"))
    monkeypatch.setattr(info_networks, "PUBLISHED", [e for e in PUBLISHED if e.network == "DSRAFlexibleUNet"])
    assert main(["info", "networks", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["networks"]
    assert (row["name"], row["backbone"], row["official_checkpoints"]) == ("FlexibleUNet + DSRA", "resnet18", [])


@pytest.mark.slow
def test_everything() -> None:
    """GMACs as counted on the original code; every network of the family has a row."""
    rows = info_networks.describe_networks()
    gmacs = {row["name"]: row["gmacs"] for row in rows["networks"]}
    assert gmacs["PVT-PraNet-V2"] == 12.05
    assert gmacs["EMCAD-B2 + DSRA"] == 4.45
    assert gmacs["MIST + DSRA, Synapse"] == 35.06
    assert gmacs["MERIT + DSRA, cascaded"] == 34.06
    assert {row["network"] for row in rows["networks"]} == set(NETWORKS.names)
    assert [row["name"] for row in rows["backbones"]] == list(BACKBONES.names)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two bundles, the only ones of this machine: one with weights and scores, one without."""
    for name, short, official in (("heart_segmentation", "heart", None), ("gut_segmentation", "gut", "GUT.pth")):
        configs = tmp_path / "store" / name / "configs"
        configs.mkdir(parents=True)
        (configs / "inference.json").write_text("{}")
        metadata = {"name": short.title(), "short_name": short, "version": "1.0", "license": "CC0"}
        metadata |= {"organs": ["left_ventricle", "myocardium"], "official_checkpoint": official}
        metadata |= {"network_data_format": {"inputs": {"image": {"modality": "MR"}}}}
        (configs / "metadata.json").write_text(json.dumps(metadata))
    heart = tmp_path / "store" / "heart_segmentation"
    for path, text in (
        ("models/model.pt", "w" * 1_500_000),
        ("docs/validation/summary.json", json.dumps({"cases": 20, "overall": {"dice": {"mean": 0.89482}}})),
    ):
        (heart / path).parent.mkdir(parents=True)
        (heart / path).write_text(text)
    monkeypatch.setenv("PRANET_MONAI_BUNDLES", str(tmp_path / "store"))
    monkeypatch.setattr("pranet_monai.bundle_store.places.checkout_folder", lambda: None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "store"


def test_bundles_for_programs(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "bundles", "--json"]) == 0
    gut, heart = json.loads(capsys.readouterr().out)
    assert heart == {
        "name": "heart_segmentation", "short_name": "heart", "title": "Heart", "version": "1.0",
        "folder": str(store / "heart_segmentation"), "place": "PRANET_MONAI_BUNDLES",
        "organs": ["left_ventricle", "myocardium"], "modality": "MR", "images": None,
        "weights": str(store / "heart_segmentation" / "models" / "model.pt"), "weights_mb": 1.5, "get_weights": None,
        "official_checkpoint": None, "dice": 0.8948, "cases": 20, "license": "CC0",
    }  # fmt: skip
    assert (gut["weights"], gut["dice"], gut["cases"]) == (None, None, None)
    assert gut["get_weights"] == [
        "pranet-monai import-checkpoint GUT.pth --bundle gut",
        "pranet-monai train gut DATA OUTPUT",
    ]


def test_bundles_for_people(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "bundles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    text = " ".join(" ".join(lines).split())
    for part in (
        "heart left ventricle, MR 0.895 here, 1.5 MB CC0",
        "(heart_segmentation)",
        "(n=20)",
        "import GUT.pth,",
    ):
        assert part in text


def test_no_bundle_says_what_to_do(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("PRANET_MONAI_BUNDLES", str(tmp_path / "none"))
    assert main(["info", "bundles"]) == 0
    assert "pranet-monai install ZIP" in capsys.readouterr().out


def test_listing_bundles_loads_nothing_heavy() -> None:
    code = (
        "import sys; from pranet_monai.__main__ import main; main(['info', 'bundles', '--json']); print(*sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = printed.splitlines()[-1].split()
    assert not {"torch", "monai", "numpy", "pandas", "scipy", "matplotlib", "nibabel"} & set(loaded)
    listed = json.loads(printed.rpartition("]")[0] + "]")
    assert {"acdc", "hippocampus"} <= {row["short_name"] for row in listed if row["weights"]}
