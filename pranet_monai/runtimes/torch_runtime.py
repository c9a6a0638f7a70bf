# SPDX-License-Identifier: Apache-2.0
"""PyTorch itself, as it is and compiled."""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path
from typing import Any, ClassVar

import torch
from pranet_monai.errors import NetworkError
from pranet_monai.runtimes.base import Precision, Prepared, Runtime
from pranet_monai.runtimes.samples import sample
from pranet_monai.storage.atomic import atomic_write
from torch import Tensor, nn

__all__ = ["CompileRuntime", "TorchRuntime"]


class TorchRuntime(Runtime):
    """Eager PyTorch; of files TorchScript."""

    name = "torch"
    about = "PyTorch as it is, on any device"
    precisions: ClassVar = dict.fromkeys(("cpu", "cuda", "xpu"), ("fp32", "bf16"))
    ending = ".ts"
    file_format = "torchscript"
    milliseconds: ClassVar = {"fp32": 94.0, "bf16": 52.4}

    def can(self, precision: Precision, device: torch.device) -> bool:
        """In fp32 whatever PyTorch can."""
        return precision == "fp32" or super().can(precision, device)

    def prepare(self, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """The network itself, or under autocast."""
        return network if precision == "fp32" else _Autocast(network, network)

    def load(self, path: Path, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """A TorchScript file."""
        scripted = torch.jit.load(path, map_location=device).eval()
        return _Autocast(scripted, network, enabled=precision == "bf16")

    def write(self, network: nn.Module, path: Path) -> None:
        """TorchScript by tracing: timm's attention can't be scripted."""
        with atomic_write(path) as partial, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing: sizes are held against the network afterwards
            torch.jit.save(torch.jit.trace(network, sample(network)), str(partial))


class CompileRuntime(Runtime):
    """``torch.compile``: compiles for a minute in each process, so ``auto`` never takes it."""

    name = "compile"
    about = "torch.compile; needs a C++ compiler, and a minute at the start of each run"
    precisions: ClassVar = dict.fromkeys(("cpu", "cuda"), ("fp32", "bf16"))

    def prepare(self, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """The compiled network, for images of any size.

        Raises:
            NetworkError: there is no C++ compiler here.
        """
        compilers = ("cl",) if sys.platform == "win32" else ("g++", "clang++", "c++")
        if device.type == "cpu" and not any(map(shutil.which, compilers)):
            raise NetworkError(
                f"runtime compile: found none of {', '.join(compilers)}; fix: a C++ compiler, or another runtime"
            )
        compiled = torch.compile(network, dynamic=True)
        return _Autocast(compiled, network, enabled=precision == "bf16")


class _Autocast(nn.Module):
    """A network, under autocast to bf16 if wanted, whose answer is float32.

    Args:
        run: what answers.
        network: the original, whose statements are repeated.
        enabled: whether autocast is on.
    """

    def __init__(self, run: Any, network: nn.Module, enabled: bool = True) -> None:
        super().__init__()
        self.run = run
        self.enabled = enabled
        self.in_channels = getattr(network, "in_channels", None)
        self.divisor = getattr(network, "divisor", None)

    def forward(self, x: Tensor) -> Any:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.enabled):
            answer = self.run(x)
        return answer.float() if isinstance(answer, Tensor) else tuple(one.float() for one in answer)
