# SPDX-License-Identifier: Apache-2.0
"""Which runtime runs a network: what a bundle's ``runtime`` and ``precision`` ask for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pranet_monai.errors import NetworkError, UsageError
from pranet_monai.runtimes.base import PRECISIONS, Precision, Prepared, Runtime, first_line, in_eval
from pranet_monai.runtimes.cache import quick_weights_fingerprint, weights_fingerprint
from pranet_monai.runtimes.first_maps import FirstMaps
from pranet_monai.runtimes.samples import SHAPES, check_answer
from pranet_monai.runtimes.table import AUTO, RUNTIMES, fastest, runtime_of_file
from torch import nn

__all__ = ["Executor"]


class Executor:
    """Prepares a network for a runtime, and keeps what it has prepared; the ``executor`` of an inferer.

    An exported network is compared with the original, on a small image, before it is used. Weights that have
    changed since, as in a training, are prepared again.

    Args:
        runtime: a name in ``RUNTIMES``; ``"auto"``, the fastest that is installed and can run the network; or a file
            that ``pranet-monai export`` has written.
        precision: ``"fp32"``, the labels of plain PyTorch; ``"bf16"``, faster, nearly the same labels.

    Raises:
        UsageError: there is no such runtime, file or precision, or it isn't installed.

    Attributes:
        used: name of the runtime that has been prepared last; before that, what was asked for.
    """

    def __init__(self, runtime: str | Path = "torch", precision: Precision = "fp32") -> None:
        if precision not in PRECISIONS:
            raise UsageError(f"precision {precision!r}: allowed: {' or '.join(PRECISIONS)}")
        self.precision: Precision = precision
        self.used = Path(str(runtime)).name
        self._file: Path | None = None
        self._runtime: Runtime | None = None
        if str(runtime) in RUNTIMES:
            self._runtime = RUNTIMES[str(runtime)]
        elif str(runtime) != AUTO:
            self._file = Path(str(runtime)).expanduser()
            self._runtime = runtime_of_file(self._file)
        if self._runtime is not None:
            self._runtime.check()
        self._ready: tuple[tuple[Any, ...], nn.Module, Prepared] | None = None
        self._seen: tuple[tuple[Any, ...], str] | None = None

    def __call__(self, network: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
        """What runs the network on images that are on a device.

        Args:
            network: in eval mode, on `device`; a callable that is no module is given back as it is.
            device: of the images.

        Raises:
            NetworkError: the runtime can't run this network, in this precision, on such a device.
        """
        if not isinstance(network, nn.Module):
            return network
        if self._runtime is RUNTIMES["torch"] and self._file is None:
            return self._prepare(self._runtime, network, device)  # at once, and follows the weights by itself
        key = (id(network), device, torch.get_num_threads(), self._fingerprint(network))
        if self._ready is None or self._ready[0] != key:
            with in_eval(network):
                self._ready = (key, network, self._prepare_any(network, device))
        return self._ready[2]

    def _fingerprint(self, network: nn.Module) -> str:
        """Of its weights; they are hashed when they look different, not for each case."""
        glance = (id(network), *quick_weights_fingerprint(network))
        if self._seen is None or self._seen[0] != glance:
            self._seen = glance, weights_fingerprint(network)
        return self._seen[1]

    def __reduce__(self) -> tuple[Any, ...]:
        """Goes to other processes without what it has prepared."""
        return type(self), (self._file or (self._runtime.name if self._runtime else AUTO), self.precision)

    def _prepare_any(self, network: nn.Module, device: torch.device) -> Prepared:
        if self._runtime is not None:
            return self._prepare(self._runtime, network, device)
        for runtime in fastest(self.precision, device):
            try:
                return self._prepare(runtime, network, device)
            except NetworkError as error:
                warnings.warn(f"{error}; going on with the next fastest runtime", stacklevel=2)
        return self._prepare(RUNTIMES["torch"], network, device)

    def _prepare(self, runtime: Runtime, network: nn.Module, device: torch.device) -> Prepared:
        if not runtime.can(self.precision, device):
            can = ", ".join(f"{' and '.join(found)} on {kind}" for kind, found in runtime.precisions.items())
            raise NetworkError(
                f"runtime {runtime.name}: found --precision {self.precision} on {device.type}; allowed: {can}; "
                "fix: another --precision, --device or --runtime"
            )
        what = f"runtime {runtime.name}" if self._file is None else f"--runtime {self._file}"
        try:
            prepared = self._checked(runtime, what, network, device)
        except (UsageError, OSError):
            raise
        except Exception as error:  # whatever an engine stumbles over
            raise NetworkError(f"{what} can't take {type(network).__name__} ({first_line(error)})") from error
        self.used = runtime.name
        return prepared

    def _checked(self, runtime: Runtime, what: str, network: nn.Module, device: torch.device) -> Prepared:
        if self._file is None:
            prepared = runtime.prepare(network, self.precision, device)
            if runtime is not RUNTIMES["torch"]:
                check_answer(prepared, network, self.precision, what, SHAPES[:2])
            return prepared
        exact = FirstMaps.of(runtime.load(self._file, network, "fp32", device), network)
        check_answer(exact, network, "fp32", what, SHAPES[:2])  # bf16 couldn't tell it from a file of similar weights
        if self.precision == "fp32":
            return exact
        return FirstMaps.of(runtime.load(self._file, network, self.precision, device), network)
