# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime, and the ONNX file that other engines start from."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import ClassVar

import torch
from monai.utils import optional_import
from pranet_monai.runtimes.arrays import ArrayNetwork, Infer
from pranet_monai.runtimes.base import Precision, Prepared, Runtime
from pranet_monai.runtimes.cache import exported_once
from pranet_monai.runtimes.samples import count_maps, sample
from pranet_monai.storage.atomic import atomic_write
from torch import nn

__all__ = ["INPUT", "LOGITS", "ONNXRuntime", "onnx_of"]

INPUT, LOGITS = "image", "logits"
_OPSET = 17


class ONNXRuntime(Runtime):
    """Microsoft's engine, which runs on nearly anything with a processor."""

    name = "onnx"
    about = "ONNX Runtime on the CPU; no bf16"
    precisions: ClassVar = {"cpu": ("fp32",)}
    packages = ("onnxruntime", "onnx")
    install = "pip install 'pranet-monai[fast]'"
    ending = ".onnx"
    file_format = "onnx"
    milliseconds: ClassVar = {"fp32": 52.0}

    def prepare(self, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """The network, exported once."""
        return self.load(onnx_of(network), network, precision, device)

    def load(self, path: Path, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """An ONNX file with one input."""
        onnxruntime, _ = optional_import("onnxruntime")
        threads = torch.get_num_threads()

        def engines(count: int) -> list[Infer]:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads - count + 1  # the session's own, and each caller brings one
            options.log_severity_level = 3  # errors
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            name = session.get_inputs()[0].name
            return [lambda image: session.run(None, {name: image})] * count

        return ArrayNetwork(engines, network)

    def write(self, network: nn.Module, path: Path) -> None:
        """By tracing: exports in seconds what ``torch.export`` takes a minute for, and gives the same numbers."""
        outputs = [LOGITS, *(f"opinion{index}" for index in range(1, count_maps(network, network)))]
        axes = {name: {0: "batch", 2: "height", 3: "width"} for name in (INPUT, *outputs)}
        with atomic_write(path) as partial, warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of tracing: sizes are held against the network afterwards
            torch.onnx.export(
                network, (sample(network),), str(partial), dynamo=False, opset_version=_OPSET,
                input_names=[INPUT], output_names=outputs, dynamic_axes=axes,
            )  # fmt: skip


def onnx_of(network: nn.Module) -> Path:
    """The network's ONNX file in the user's cache, exported where it isn't there yet."""
    return exported_once(network, ".onnx", ONNXRuntime().export)
