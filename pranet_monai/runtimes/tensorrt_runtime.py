# SPDX-License-Identifier: Apache-2.0
"""TensorRT, for NVIDIA's GPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from monai.utils import optional_import
from pranet_monai.errors import BadCaseError, NetworkError, UsageError
from pranet_monai.runtimes.base import Precision, Prepared, Runtime, StandIn, one_or_several
from pranet_monai.runtimes.cache import exported_once
from pranet_monai.runtimes.onnx_runtime import INPUT, onnx_of
from pranet_monai.storage.atomic import atomic_write
from torch import Tensor, nn

__all__ = ["TensorRTRuntime"]

_BATCHES = (1, 16, 16)  # least, usual and most images, and below the same of their sides in pixels
_SIDES = (32, 256, 1024)


class TensorRTRuntime(Runtime):
    """NVIDIA's engine. An engine file belongs to the kind of GPU and the version of TensorRT that made it."""

    name = "tensorrt"
    about = "TensorRT on an NVIDIA GPU, slices up to 1024 pixels a side"
    precisions: ClassVar = {"cuda": ("fp32", "bf16")}
    packages = ("tensorrt", "onnx")
    install = "pip install tensorrt 'pranet-monai[export]' on a machine with an NVIDIA GPU"
    ending = ".engine"
    file_format = "tensorrt"

    def check(self) -> None:
        """Look whether it and a GPU are there.

        Raises:
            UsageError: says what is missing.
        """
        if not torch.cuda.is_available():
            raise UsageError(
                "runtime tensorrt: found no NVIDIA GPU; fix: a machine with one, or --runtime auto, the fastest here"
            )
        super().check()

    def prepare(self, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """The network, built once for this kind of GPU, which takes minutes."""
        tensorrt = _tensorrt()
        also = f"{precision} {torch.cuda.get_device_name(device)} {tensorrt.__version__}"
        path = exported_once(network, self.ending, lambda one, path: _build(onnx_of(one), path, one, precision), also)
        return self.load(path, network, precision, device)

    def load(self, path: Path, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """An engine file.

        Raises:
            NetworkError: it is of another GPU or version.
        """
        tensorrt = _tensorrt()
        engine = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR)).deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise NetworkError(f"{path}: found an engine of another GPU or version of TensorRT; fix: export it here")
        return _Engine(engine, network)

    def write(self, network: nn.Module, path: Path) -> None:
        """An engine in fp32, for this kind of GPU."""
        _build(onnx_of(network), path, network, "fp32")


def _build(onnx: Path, path: Path, network: nn.Module, precision: Precision) -> None:
    tensorrt = _tensorrt()
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    graph = builder.create_network(0)
    parser = tensorrt.OnnxParser(graph, logger)
    if not parser.parse_from_file(str(onnx)):
        raise NetworkError(f"runtime tensorrt: found what it can't read: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    config.clear_flag(tensorrt.BuilderFlag.TF32)  # which has the mantissa of half precision
    if precision == "bf16":
        config.set_flag(tensorrt.BuilderFlag.BF16)
    channels = getattr(network, "in_channels", None) or 1
    profile = builder.create_optimization_profile()
    profile.set_shape(INPUT, *((batch, channels, side, side) for batch, side in zip(_BATCHES, _SIDES)))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(graph, config)
    if engine is None:
        raise NetworkError("runtime tensorrt: it could not build an engine for this network")
    with atomic_write(path) as partial:
        partial.write_bytes(bytes(engine))


def _tensorrt() -> Any:
    return optional_import("tensorrt")[0]


class _Engine(StandIn):
    """An engine whose images and maps stay in PyTorch's memory on the GPU."""

    def __init__(self, engine: Any, network: nn.Module) -> None:
        super().__init__(network)
        self._engine = engine
        self._context = engine.create_execution_context()
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        self._outputs = [name for name in names if name != INPUT]

    def __call__(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        image = x.as_subclass(Tensor).float().contiguous()
        if not self._context.set_input_shape(INPUT, tuple(image.shape)):
            raise BadCaseError(
                f"runtime tensorrt: found images {tuple(image.shape)}; allowed: up to {_BATCHES[-1]} of at most "
                f"{_SIDES[-1]} pixels a side; fix: --runtime torch"
            )
        shapes = {name: tuple(self._context.get_tensor_shape(name)) for name in self._outputs}
        maps = {name: torch.empty(shape, device=image.device) for name, shape in shapes.items()}
        for name, tensor in {INPUT: image, **maps}.items():
            self._context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.current_stream(image.device)
        self._context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()  # the image may be gone when the stream comes to it
        return one_or_several(list(maps.values()))
