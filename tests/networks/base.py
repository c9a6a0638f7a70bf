# SPDX-License-Identifier: Apache-2.0
"""What every network must do; a network joins by a subclass of a few lines in ``tests/networks/nets``."""

from __future__ import annotations

import inspect
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pranet_monai.networks.nets import NETWORKS, StageLogits
from pranet_monai.runtimes import RUNTIMES
from pranet_monai.runtimes.samples import SHAPES, sample
from torch import Tensor, nn

# how the originals make the final map of their stages'
FINAL = {
    "sum": lambda stages: sum(stages.foreground),
    "finest": lambda stages: stages.foreground[-1],
    "difference": lambda stages: sum(stages.foreground) - sum(stages.background),
}


def image(channels: int, height: int = 64, width: int = 96, batch: int = 2) -> Tensor:
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(7))


class NetworkContract:
    """Subclass it as ``Test...`` and fill in the attributes.

    Attributes:
        network: the class under test.
        small: arguments that make it quick (timm's "test_efficientnet" is a backbone for tests); 1 channel and 3
            classes are added.
        final: key of :data:`FINAL`.
        has_background: whether the stages have background maps.
        stages: number of stages.
        any_size: the network resizes its input itself.
        scriptable: ``torch.jit.script`` takes the network; else ``torch.jit.trace`` does.
    """

    network: ClassVar[type[nn.Module]]
    small: ClassVar[dict[str, Any]]
    final: ClassVar[str] = "sum"
    has_background: ClassVar[bool] = True
    stages: ClassVar[int] = 4
    any_size: ClassVar[bool] = False
    scriptable: ClassVar[bool] = True
    # added to all scores of a softmax alike, so that no output feels it
    inert: ClassVar[str] = r"rel_pos\.mlp\.fc2\.bias$"

    def build(self, **changes: Any) -> nn.Module:
        torch.manual_seed(0)
        return self.network(**{"in_channels": 1, "out_channels": 3, **self.small, **changes}).eval()

    def test_constructor_takes_plain_json(self) -> None:
        arguments = json.loads(json.dumps({"in_channels": 1, "out_channels": 3, **self.small}))
        torch.manual_seed(0)
        rebuilt = self.network(**arguments).eval()
        assert torch.equal(rebuilt(image(1)), self.build()(image(1)))
        for parameter in inspect.signature(self.network).parameters.values():
            if parameter.default is not inspect.Parameter.empty:
                json.dumps(parameter.default)

    def test_stands_in_the_table(self) -> None:
        assert NETWORKS[self.network.__name__] is self.network

    @pytest.mark.parametrize(("in_channels", "out_channels"), [(1, 4), (3, 1), (2, 2)])
    def test_eval_gives_final_logits(self, in_channels: int, out_channels: int) -> None:
        net = self.build(in_channels=in_channels, out_channels=out_channels)
        with torch.no_grad():
            logits, stages = net(image(in_channels)), net.forward_stages(image(in_channels))
        assert isinstance(logits, Tensor) and logits.shape == (2, out_channels, 64, 96)
        torch.testing.assert_close(logits, FINAL[self.final](stages), rtol=1e-5, atol=1e-5)

    def test_train_gives_all_stages_at_the_inputs_size(self) -> None:
        stages = self.build().train()(image(1))
        assert isinstance(stages, StageLogits)
        assert len(stages.foreground) == self.stages
        assert len(stages.background) == (self.stages if self.has_background else 0)
        assert {tuple(m.shape) for m in [*stages.foreground, *stages.background]} == {(2, 3, 64, 96)}

    def test_size_it_cannot_take(self) -> None:
        net = self.build()
        if self.any_size:
            assert net(image(1, 50, 70)).shape == (2, 3, 50, 70)
        else:
            with pytest.raises(ValueError, match=r"50 x 70.*multiples of 32.*64 x 96"):
                net(image(1, 50, 70))

    def test_channels_it_cannot_take(self) -> None:
        with pytest.raises(ValueError, match=r"\[2, 3, 64, 96\].*\(B, 1, H, W\)"):
            self.build()(image(3))
        with pytest.raises(ValueError, match="out_channels is 0"):
            self.build(out_channels=0)

    def test_gradient_reaches_every_parameter(self) -> None:
        net = self.build()
        for parameter in net.parameters():
            if not parameter.any():  # timm starts the last scale of a residual branch at zero
                nn.init.normal_(parameter, std=0.1)
        maps = net.forward_stages(image(1))
        weights = torch.Generator().manual_seed(1)
        sum(
            (m * torch.randn(m.shape, generator=weights)).sum() for m in [*maps.foreground, *maps.background]
        ).backward()
        dead = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
        assert [name for name in dead if not re.search(self.inert, name)] == []

    def test_eval_is_deterministic(self) -> None:
        net = self.build()
        with torch.no_grad():
            assert torch.equal(net(image(1)), net(image(1)))

    def test_half_precision_is_finite_and_close(self) -> None:
        net = self.build()
        with torch.no_grad():
            exact = net(image(1))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                rounded = net(image(1)).float()
        assert torch.isfinite(rounded).all()
        assert (rounded - exact).abs().mean() < 0.1 * exact.std()

    def test_torchscript(self) -> None:
        net = self.build()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch 2.15 would rather have torch.export, bundles are scripted
            compiled = torch.jit.script(net) if self.scriptable else torch.jit.trace(net, image(1))
            torch.testing.assert_close(compiled(image(1)), net(image(1)), rtol=1e-5, atol=1e-5)

    def test_runtimes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platformdirs.user_cache_path", lambda name, **_: tmp_path / name)
        net = self.build()
        for name in ("onnx", "openvino"):
            prepared = RUNTIMES[name].prepare(net, "fp32", torch.device("cpu"))
            for shape in SHAPES:
                with torch.no_grad():
                    expected = net(sample(net, shape))
                torch.testing.assert_close(prepared(sample(net, shape)), expected, rtol=1e-3, atol=1e-4)

    def test_save_and_load(self) -> None:
        net, file = self.build(), io.BytesIO()
        torch.save(net.state_dict(), file)
        file.seek(0)
        torch.manual_seed(1)
        other = self.network(**{"in_channels": 1, "out_channels": 3, **self.small}).eval()
        assert not torch.equal(other(image(1)), net(image(1)))
        other.load_state_dict(torch.load(file, weights_only=True), strict=True)
        assert torch.equal(other(image(1)), net(image(1)))


def count_parameters(network: type[nn.Module], **arguments: Any) -> int:
    """Parameters of a network, without its memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in network(**arguments).parameters())
