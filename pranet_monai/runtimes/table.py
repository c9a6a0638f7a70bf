# SPDX-License-Identifier: Apache-2.0
"""The runtimes, each one object. A new one is one file here and its row."""

from __future__ import annotations

from pathlib import Path

import torch
from pranet_monai.errors import UsageError
from pranet_monai.runtimes.base import Precision, Runtime
from pranet_monai.runtimes.onnx_runtime import ONNXRuntime
from pranet_monai.runtimes.openvino_runtime import OpenVINORuntime
from pranet_monai.runtimes.tensorrt_runtime import TensorRTRuntime
from pranet_monai.runtimes.torch_runtime import CompileRuntime, TorchRuntime

__all__ = ["AUTO", "RUNTIMES", "fastest", "format_named", "runtime_of_file"]

AUTO = "auto"
RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime
    for runtime in (TorchRuntime(), CompileRuntime(), ONNXRuntime(), OpenVINORuntime(), TensorRTRuntime())
}


def fastest(precision: Precision, device: torch.device) -> list[Runtime]:
    """Installed runtimes for a precision on a device, the fastest by their measured times first.

    They were measured on a processor: on any other device PyTorch alone is left.
    """
    if device.type != "cpu":
        return [RUNTIMES["torch"]]
    measured = [runtime for runtime in RUNTIMES.values() if precision in runtime.milliseconds]
    usable = [runtime for runtime in measured if runtime.can(precision, device) and not runtime.missing()]
    return sorted(usable, key=lambda runtime: runtime.milliseconds[precision])


def runtime_of_file(path: Path) -> Runtime:
    """The runtime that loads a file, by its ending.

    Raises:
        UsageError: none does, or the file isn't there.
    """
    for runtime in RUNTIMES.values():
        if runtime.ending is not None and path.suffix.lower() == runtime.ending:
            if not path.is_file():
                raise UsageError(f"--runtime {path}: found no such file; fix: pranet-monai export BUNDLE")
            return runtime
    endings = ", ".join(runtime.ending for runtime in RUNTIMES.values() if runtime.ending)
    raise UsageError(
        f"--runtime {path}: found no runtime of this name; allowed: {', '.join((AUTO, *RUNTIMES))}, or an exported "
        f"file ({endings})"
    )


def format_named(name: str) -> Runtime:
    """The runtime that exports a format.

    Raises:
        UsageError: none does.
    """
    formats = {runtime.file_format: runtime for runtime in RUNTIMES.values() if runtime.file_format}
    if name not in formats:
        raise UsageError(f"--format {name}: allowed: {', '.join(filter(None, formats))}")
    return formats[name]
