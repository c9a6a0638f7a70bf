# SPDX-License-Identifier: Apache-2.0
"""The base class of runtimes: they run a network faster than eager PyTorch, with the same output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pranet_monai.errors import NetworkError, UsageError
from torch import Tensor, nn

__all__ = ["PRECISIONS", "Prepared", "Precision", "Runtime", "StandIn", "first_line", "in_eval", "one_or_several"]

Precision = Literal["fp32", "bf16"]
"""Numbers that a network computes in."""

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")

Prepared = Callable[[Tensor], Any]
"""A network as a runtime runs it: images ``(B, C, H, W)`` float32 to a tensor or a tuple of tensors, float32. It states
the network's ``in_channels`` and ``divisor``, and may state the ``batch_size`` that suits it."""


class StandIn:
    """What answers in a network's place states what the network states: ``in_channels`` and ``divisor``.

    Args:
        network: whose answer it gives; only its statements are read.
        batch_size: images per call that suit it; None where it doesn't matter.
    """

    def __init__(self, network: nn.Module, batch_size: int | None = None) -> None:
        self.batch_size = batch_size
        self.in_channels: int | None = getattr(network, "in_channels", None)
        self.divisor: int | None = getattr(network, "divisor", None)


def one_or_several(maps: Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """As a network gives its maps: one as it is, several as a tuple."""
    return maps[0] if len(maps) == 1 else tuple(maps)


class Runtime(ABC):
    """One row of the table ``RUNTIMES``. A subclass states the facts and prepares networks.

    Attributes:
        name: name on the command line.
        about: one line of description.
        precisions: type of device → what it can compute in there.
        packages: modules that must be importable.
        install: the command that brings them.
        ending: of the files that it exports and loads; None if it has no files.
        file_format: name of their format.
        milliseconds: of processor time per slice in fp32 and bf16, by ``benchmarks/runtimes.py --threads 1``: the ACDC
            bundle's network, 2 slices of 224 x 224, an AMD EPYC with AVX-512 bf16, a busy machine. ``auto`` takes the
            fastest; a runtime without a time isn't taken.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    precisions: ClassVar[Mapping[str, tuple[Precision, ...]]]
    packages: ClassVar[tuple[str, ...]] = ()
    install: ClassVar[str] = ""
    ending: ClassVar[str | None] = None
    file_format: ClassVar[str | None] = None
    milliseconds: ClassVar[Mapping[Precision, float]] = {}

    def missing(self) -> list[str]:
        """The packages that aren't installed."""
        return [name for name in self.packages if find_spec(name) is None]

    def can(self, precision: Precision, device: torch.device) -> bool:
        """Whether it computes in this precision on such a device."""
        return precision in self.precisions.get(device.type, ())

    def check(self) -> None:
        """Look whether it is installed.

        Raises:
            UsageError: names what is missing and how to install it.
        """
        if missing := self.missing():
            raise UsageError(
                f"runtime {self.name}: {' and '.join(missing)} can't be imported; fix: {self.install}, or "
                "another runtime"
            )

    @abstractmethod
    def prepare(self, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """What runs the network.

        Args:
            network: in eval mode, with its weights, on `device`; one tensor in, a tensor or a tuple of them out.
            precision: one of those that it supports.
            device: where the images are.
        """

    def load(self, path: Path, network: nn.Module, precision: Precision, device: torch.device) -> Prepared:
        """What runs an exported file.

        Args:
            path: written by :meth:`export`.
            network: whose it should be; only what it states is read.
            precision: as for :meth:`prepare`.
            device: as for :meth:`prepare`.
        """
        raise UsageError(f"runtime {self.name}: found {path}; it has no files")

    def write(self, network: nn.Module, path: Path) -> None:
        """What :meth:`export` does, outside of inference mode and with the network in eval mode."""
        raise UsageError(f"runtime {self.name}: it has no files")

    def export(self, network: nn.Module, path: Path) -> None:
        """Write the network to a file for images of any number and size; whole or not at all.

        Raises:
            NetworkError: the format can't represent the network.
        """
        with in_eval(network):
            try:
                self.write(network, path)
            except (OSError, UsageError):
                raise
            except Exception as error:  # whatever an exporter stumbles over
                raise NetworkError(
                    f"runtime {self.name}: {type(network).__name__} can't be exported ({first_line(error)})"
                ) from error


@contextmanager
def in_eval(network: nn.Module) -> Iterator[None]:
    """Around exports and checks: eval mode, gradients off, and no inference mode, whose tensors can't be traced.

    Each part gets its own mode back; MONAI's ``eval_mode`` would put all of a wrapper's into the wrapper's.
    """
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def first_line(error: BaseException) -> str:
    """The kind and the first words of an error, for a sentence of an error message."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:200]}" if words else type(error).__name__
