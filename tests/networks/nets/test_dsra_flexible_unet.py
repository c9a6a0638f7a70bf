# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pranet_monai.errors import NetworkError
from pranet_monai.networks.nets import DSRAFlexibleUNet, EMCADNet
from pranet_monai.runtimes import RUNTIMES
from pranet_monai.runtimes.samples import SHAPES, check_answer
from torch import nn

from tests.networks.base import NetworkContract


class TestDSRAFlexibleUNet(NetworkContract):
    network = DSRAFlexibleUNet
    small = {"backbone": "resnet18"}
    stages = 5
    scriptable = False  # MONAI's ResNet isn't

    def test_runtimes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """MONAI's ResNet pads by zeros of the traced batch: other batches are refused, never answered wrongly."""
        monkeypatch.setattr("platformdirs.user_cache_path", lambda name, **_: tmp_path / name)
        net = self.build()
        for name in ("onnx", "openvino"):
            prepared = RUNTIMES[name].prepare(net, "fp32", torch.device("cpu"))
            check_answer(prepared, net, "fp32", name, SHAPES[:1])
            with pytest.raises(NetworkError):
                check_answer(prepared, net, "fp32", name)


class TestDSRAFlexibleUNetWithoutDSRA(NetworkContract):
    network = DSRAFlexibleUNet
    small = {"backbone": "pvt_v2_b0", "dsra": False}
    stages = 5
    final = "finest"
    has_background = False


@pytest.mark.parametrize(("network", "stages"), [(DSRAFlexibleUNet, 5), (EMCADNet, 4)])
def test_head_norm_false_gives_the_classifiers_biases(network: type, stages: int) -> None:
    normed, biased = (network(1, 3, backbone="resnet18", head_norm=norm).head for norm in (True, False))
    assert [sum(isinstance(m, nn.BatchNorm2d) for m in head.modules()) for head in (normed, biased)] == [2 * stages, 0]
    biases = [parameter for name, parameter in biased.named_parameters() if name.endswith("bias")]
    assert [tuple(bias.shape) for bias in biases] == [(3,)] * 2 * stages
