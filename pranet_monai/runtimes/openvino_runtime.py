# SPDX-License-Identifier: Apache-2.0
"""OpenVINO, which makes the most of a processor's bf16."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from monai.utils import optional_import
from pranet_monai.errors import NetworkError
from pranet_monai.runtimes.arrays import ArrayNetwork, Infer
from pranet_monai.runtimes.base import Precision, Prepared, Runtime
from pranet_monai.runtimes.onnx_runtime import onnx_of
from pranet_monai.storage.atomic import atomic_write
from torch import nn

__all__ = ["OpenVINORuntime"]


class OpenVINORuntime(Runtime):
    """Intel's engine, for the processors of others as well.

    One compiled model serves slices of every size: it is as fast as one compiled for a single size, and a new size
    costs it less than a tenth of a second.
    """

    name = "openvino"
    about = "OpenVINO on the CPU"
    precisions: ClassVar = {"cpu": ("fp32", "bf16")}
    packages = ("openvino", "onnx")
    install = "pip install 'pranet-monai[fast]'"
    ending = ".xml"
    file_format = "openvino"
    milliseconds: ClassVar = {"fp32": 58.8, "bf16": 32.7}

    def prepare(self, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """The network, exported once as ONNX, which OpenVINO reads in milliseconds."""
        return self.load(onnx_of(network), network, precision, device)

    def load(self, path: Path, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """An ``.xml`` with its ``.bin``, or an ONNX file.

        Raises:
            NetworkError: bf16 on a processor that has none.
        """
        core = _openvino().Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise NetworkError("runtime openvino: found a processor without bf16; fix: --precision fp32")
        settings = {
            # stated in any case: left alone it would be bf16 where the processor has matrix units for it
            "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        model = core.read_model(str(path))

        def engines(count: int) -> list[Infer]:
            compiled = core.compile_model(model, "CPU", {**settings, "NUM_STREAMS": count})
            return [partial(_infer, compiled.create_infer_request()) for _ in range(count)]

        return ArrayNetwork(engines, network)

    def write(self, network: nn.Module, path: Path) -> None:
        """OpenVINO's own format in fp32: the weights in a ``.bin``, and the ``.xml`` that gets its name after it."""
        openvino = _openvino()
        model = openvino.Core().read_model(str(onnx_of(network)))
        with atomic_write(path) as partial, atomic_write(path.with_suffix(".bin")):
            openvino.save_model(model, str(partial), compress_to_fp16=False)


def _infer(request: Any, image: np.ndarray) -> list[np.ndarray]:
    answer: dict[Any, np.ndarray] = request.infer({0: image}, share_inputs=True)
    return [array.copy() for array in answer.values()]


def _openvino() -> Any:
    # Importing OpenVINO sends usage data to its makers, unless this package of theirs is missing. No patient is in
    # it, but a hospital's computer has no business calling there.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return optional_import("openvino")[0]
