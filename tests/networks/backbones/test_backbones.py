# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from monai.networks.nets import FlexibleUNet
from pranet_monai.networks.backbones import BACKBONES, add_backbone, create_backbone, find_backbone, flexible_unet_name


@pytest.mark.parametrize("name", BACKBONES.names)
def test_features_are_as_announced(name: str) -> None:
    record = BACKBONES[name]
    side = record.image_size or 64
    with torch.device("meta"):
        features = create_backbone(name).eval()(torch.empty(1, 3, side, side))
    assert [f.shape[1] for f in features] == list(record.channels)
    assert [side // f.shape[2] for f in features] == [4, 8, 16, 32]


@pytest.mark.parametrize("name", BACKBONES.names)
def test_imagenet_weights_are_known_to_timm(name: str) -> None:
    record = BACKBONES[name]
    weights = timm.get_pretrained_cfg(f"{record.timm_name}.{record.weights}", allow_unregistered=False)
    assert weights.hf_hub_id or weights.url
    assert (weights.license or "unknown").lower().replace("unknown", "not stated") == record.weights_license.lower()
    if record.image_size is not None:
        assert weights.fixed_input_size and weights.input_size[1] == record.image_size


def test_any_timm_model_with_features() -> None:
    backbone = create_backbone("mobilenetv3_small_050").eval()
    with torch.no_grad():
        features = backbone(torch.zeros(1, 3, 64, 64))
    assert [f.shape[1] for f in features] == backbone.channels
    assert [64 // f.shape[2] for f in features] == [4, 8, 16, 32]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pvt_v2_b9", r"backbone is 'pvt_v2_b9', must be one of .*pvt_v2_b2.*res2net50.*or a timm model"),
        ("vit_tiny_patch16_224", r"vit_tiny_patch16_224 gives features at strides \[16.*needed are \[4, 8, 16, 32\]"),
    ],
)
def test_unknown_backbones(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_backbone(name)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="'pvt_v2_b0' stands in the table already"):
        add_backbone(BACKBONES["pvt_v2_b0"])


def test_pretrained_asks_timm_for_the_recorded_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    original = timm.create_model

    def create_model(name: str, **arguments: Any) -> torch.nn.Module:
        asked.append((name, dict(arguments)))
        return original(name, **{**arguments, "pretrained": False})

    monkeypatch.setattr(timm, "create_model", create_model)
    create_backbone("resnet18", pretrained=True)
    assert asked[0][0] == "resnet18.tv_in1k" and asked[0][1]["pretrained"] is True


def test_pretrained_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(RuntimeError, match=r"pvt_v2_b2\.in1k could not be read .*not known.*pretrained=False"):
        create_backbone("pvt_v2_b2", pretrained=True)


@pytest.mark.parametrize("name", ["res2net50", "maxvit_tiny_rw_224"])
def test_pretrained_from_a_file(name: str, tmp_path: Path) -> None:
    """timm's own file format, classifier and all, without a network."""
    torch.manual_seed(0)
    model = timm.create_model(BACKBONES[name].timm_name)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    loaded = create_backbone(name, pretrained=str(tmp_path / "weights.pth")).state_dict()
    for key, value in model.state_dict().items():
        assert key.startswith(("fc.", "head.")) or torch.equal(loaded[f"body.{key}"], value)
    with pytest.raises(RuntimeError, match="could not be read from the file"):
        create_backbone(name, pretrained=str(tmp_path / "missing.pth"))


def test_images_are_resized_to_fixed_windows() -> None:
    torch.manual_seed(0)
    backbone = create_backbone("maxvit_tiny_rw_224").eval()
    x = torch.randn(1, 3, 96, 128)
    resized = torch.nn.functional.interpolate(x, size=(224, 224), mode="bilinear", align_corners=False)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(backbone(x), backbone(resized)))


@pytest.mark.parametrize("name", ["pvt_v2_b0", "resnet18", "res2net50"])
def test_flexible_unet_takes_them(name: str) -> None:
    net = FlexibleUNet(in_channels=1, out_channels=2, backbone=flexible_unet_name(name)).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 1, 64, 96)).shape == (1, 2, 64, 96)
