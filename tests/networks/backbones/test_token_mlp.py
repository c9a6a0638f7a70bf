# SPDX-License-Identifier: Apache-2.0
"""PVT's MLP gives timm's numbers, and is exported without a turn between its layers."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from pranet_monai.networks.backbones.timm_backbone import create_backbone
from pranet_monai.networks.backbones.token_mlp import TokenMLP
from timm.models.pvt_v2 import MlpWithDepthwiseConv
from torch import nn


@pytest.fixture(params=[False, True], ids=["plain", "relu"])
def mlp(request: pytest.FixtureRequest) -> MlpWithDepthwiseConv:
    torch.manual_seed(0)
    return MlpWithDepthwiseConv(6, 24, extra_relu=request.param).eval()


def test_it_is_timms_to_the_bit(mlp: MlpWithDepthwiseConv) -> None:
    x, ours = torch.randn(2, 15, 6), TokenMLP(mlp)
    assert torch.equal(ours(x, [3, 5]), mlp(x, [3, 5]))
    assert torch.equal(torch.jit.script(ours)(x, [3, 5]), mlp(x, [3, 5]))
    assert list(ours.state_dict()) == list(mlp.state_dict())


def test_dropout_is_kept(mlp: MlpWithDepthwiseConv) -> None:
    mlp.drop.p = 0.5
    x, ours = torch.randn(2, 15, 6), TokenMLP(mlp.train())
    torch.manual_seed(1)
    expected = mlp(x, [3, 5])
    torch.manual_seed(1)
    assert torch.equal(ours(x, [3, 5]), expected)


class OfMaps(nn.Module):
    def __init__(self, mlp: MlpWithDepthwiseConv) -> None:
        super().__init__()
        self.mlp = TokenMLP(mlp)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[1:3]
        return self.mlp(x.flatten(1, 2), [height, width])


def test_exported_it_turns_only_what_is_narrow(mlp: MlpWithDepthwiseConv, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    path, network = str(tmp_path / "mlp.onnx"), OfMaps(mlp).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.randn(1, 4, 4, 6),), path, dynamo=False, opset_version=17, input_names=["x"],
            dynamic_axes={"x": {0: "batch", 1: "height", 2: "width"}},
        )  # fmt: skip
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    turns = [at for at, kind in enumerate(kinds) if kind == "Transpose"]
    layers = [at for at, kind in enumerate(kinds) if kind in ("Conv", "MatMul", "Gemm")]
    assert len(turns) == 2 and turns[0] < layers[0] and layers[-1] < turns[1], kinds
    x = torch.randn(2, 3, 5, 6)
    (found,) = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), mlp(x.flatten(1, 2), [3, 5]), rtol=1e-5, atol=1e-6)


def test_every_pvt_has_it() -> None:
    body = create_backbone("pvt_v2_b0").body
    assert sum(isinstance(module, TokenMLP) for module in body.modules()) == 8
    assert not any(isinstance(module, MlpWithDepthwiseConv) for module in body.modules())
