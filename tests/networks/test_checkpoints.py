# SPDX-License-Identifier: Apache-2.0
"""Official checkpoints: every way they are wrapped, what is dropped, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pranet_monai.networks.checkpoints import load_official_checkpoint, read_checkpoint
from pranet_monai.networks.nets import DSRAFlexibleUNet, EMCADNet
from torch import Tensor

from tests.networks.cases import load_case, weights

CASE = load_case("emcad_pvtv2b0_dual_c4_ch1_224")
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def official() -> Weights:
    return weights(CASE)


def network(**changes: Any) -> EMCADNet:
    torch.manual_seed(0)
    return EMCADNet(**{"out_channels": 4, "backbone": "pvt_v2_b0", **changes})


WRAPPERS = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model": lambda state: {"model": state},
    "module.": lambda state: {f"module.{key}": value for key, value in state.items()},
    "state_dict of module.": lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers(wrapper: str, official: Weights, tmp_path: Path) -> None:
    torch.save(WRAPPERS[wrapper](official), tmp_path / "EMCAD.pth")
    net = network()
    report = load_official_checkpoint(net, tmp_path / "EMCAD.pth")
    assert report.loaded == len(net.state_dict()) == len(official) - len(report.dropped)
    assert torch.equal(net.stem.conv.weight, official["conv.0.weight"])
    assert torch.equal(net.decoder.spatial_attention.conv.weight, official["decoder.sab.conv.weight"])


def test_dead_keys_are_named_with_the_reason(official: Weights) -> None:
    report = load_official_checkpoint(network(), official)
    assert set(report.dropped) == {f"out_head{i}.{part}" for i in (1, 2, 3, 4) for part in ("weight", "bias")}
    assert "head of the network without DSRA: out_head" in str(report)


def test_stem_is_dead_for_rgb(official: Weights) -> None:
    report = load_official_checkpoint(network(in_channels=3), official)
    assert report.dropped["conv.0.weight"] == "1-channel stem, unused for RGB input"


def without(key: str) -> Any:
    return lambda state: {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (
            without("decoder.sab.conv.weight"),
            {},
            r"decoder\.spatial_attention\.conv\.weight: missing in the checkpoint",
        ),
        (lambda s: {**s, "extra.weight": torch.ones(2)}, {}, r"extra\.weight: not a parameter of this network"),
        (lambda s: {**s, "out_head5.weight": torch.ones(2)}, {}, r"out_head5\.weight: not a parameter"),
        (lambda s: s, {"out_channels": 9}, r"ConvBlock4_fg\.conv\.weight: shape \[4, 256, 1, 1\], .* \[9, 256, 1, 1\]"),
        (lambda s: s, {"backbone": "pvt_v2_b1"}, "does not fit EMCADNet; nothing was loaded"),
        (lambda s: s, {"dsra": False}, r"decoder\.ConvBlock4_fg\.conv\.weight: not a parameter"),
        (lambda s: s, {"in_channels": 2}, r"conv\.0\.weight: shape \[3, 1, 1, 1\], the network needs \[3, 2, 1, 1\]"),
    ],
)
def test_refusals(change: Any, arguments: dict[str, Any], message: str, official: Weights) -> None:
    net = network(**arguments)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_official_checkpoint(net, change(official))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_network_without_official_checkpoints(official: Weights) -> None:
    with pytest.raises(ValueError, match="no official checkpoints are known for DSRAFlexibleUNet; .*EMCADNet"):
        load_official_checkpoint(DSRAFlexibleUNet(1, 2), official)


class Payload:
    """Unpickling it would run code."""


@pytest.mark.parametrize("content", [{"state_dict": Payload()}, [1, 2], {}, {"epoch": "three"}, torch.ones(2)])
def test_files_that_hold_no_state_dict(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=r"odd\.pth .*state dict"):
        read_checkpoint(tmp_path / "odd.pth")


@pytest.mark.parametrize("text", ["<html>sign in to download</html>", "bad\n", ""])
def test_files_that_are_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "page.pth").write_text(text)
    with pytest.raises(ValueError, match=r"page\.pth is not a checkpoint that can be read safely"):
        read_checkpoint(tmp_path / "page.pth")


def test_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_checkpoint(tmp_path / "missing.pth")
