# SPDX-License-Identifier: Apache-2.0
"""A bundle's network in a file that any program can run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from pranet_monai.__main__ import main
from pranet_monai.apps.bundle_weights import bundle_network
from pranet_monai.apps.export import export_bundle
from pranet_monai.bundle_store import find_bundle
from pranet_monai.engines.weights import load_weights
from pranet_monai.errors import NetworkError, UsageError
from pranet_monai.runtimes.onnx_runtime import ONNXRuntime


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, **_: tmp_path / "cache" / name)


@torch.no_grad()
def test_onnx_for_images_of_any_number_and_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Read by ONNX Runtime alone, as another program would."""
    target = tmp_path / "new" / "hippocampus.onnx"
    assert main(["export", "hippocampus", "--format", "onnx", "--output", str(target)]) == 0
    printed = capsys.readouterr().out
    assert f"Use: pranet-monai segment INPUT OUTPUT --bundle hippocampus --runtime {target}" in printed
    assert sorted(path.name for path in target.parent.iterdir()) == ["hippocampus.onnx"]
    bundle = find_bundle("hippocampus")
    network, definition = bundle_network(bundle.folder)
    assert bundle.weights
    load_weights(network.eval(), bundle.weights)
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == ["image"]
    assert session.get_outputs()[0].name == "logits"
    for number, height, width in ((1, 64, 64), (3, 32, 96), (2, 160, 128)):
        image = torch.randn(number, definition["in_channels"], height, width)
        found, *opinions = session.run(None, {"image": image.numpy()})
        assert {opinion.shape for opinion in opinions} == {found.shape}
        np.testing.assert_allclose(found, network(image).numpy(), rtol=1e-3, atol=1e-3)


def test_openvino_is_two_files(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    export_bundle("hippocampus", "openvino", tmp_path / "net.xml")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["net.bin", "net.xml"]


@pytest.mark.parametrize(
    ("bundle", "file_format", "name", "reason"),
    [
        ("hippocampus", "onnx", "net.pb", r"net.pb: allowed for onnx: a name that ends in .onnx"),
        ("hippocampus", "coreml", "net.ml", "--format coreml: allowed: torchscript, onnx, openvino, tensorrt"),
        ("kits", "onnx", "net.onnx", "found no such weights file"),
        pytest.param(
            *("hippocampus", "tensorrt", "net.engine", "found no NVIDIA GPU"),
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU"),
        ),
    ],
)
def test_wrong_use(bundle: str, file_format: str, name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        export_bundle(bundle, file_format, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_that_gives_another_answer_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = export_bundle("hippocampus", "onnx", tmp_path / "good.onnx")
    before = good.read_bytes()
    nothing = lambda image: 3 * (torch.zeros(len(image), 3, *image.shape[2:]),)  # noqa: E731
    monkeypatch.setattr(ONNXRuntime, "load", lambda *_: nothing)
    with pytest.raises(NetworkError, match="found another answer than the network's"):
        export_bundle("hippocampus", "onnx", good)
    assert good.read_bytes() == before
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert [path.name for path in tmp_path.iterdir()] == ["good.onnx"]
