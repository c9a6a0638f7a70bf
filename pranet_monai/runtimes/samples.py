# SPDX-License-Identifier: Apache-2.0
"""Small random images, on which an exported network is compared with the original before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pranet_monai.errors import NetworkError
from pranet_monai.runtimes.base import Precision, Prepared, first_line, in_eval
from torch import Tensor, nn

__all__ = ["SHAPES", "check_answer", "count_maps", "sample"]

SHAPES = ((1, 2, 3), (3, 4, 2), (2, 7, 7))
"""Images, and height and width in multiples of the network's divisor; the first is also what exporters trace."""

# of the largest logit. Other weights are off by more than a tenth; engines in fp32 by 1e-6 to 1e-5
_ALLOWED: dict[Precision, float] = {"fp32": 1e-3, "bf16": 0.1}


def sample(network: nn.Module, shape: Sequence[int] = SHAPES[0]) -> Tensor:
    """Noise ``(B, in_channels, H, W)`` on the network's device, the same each time.

    The size of the first is no network's own: one that resizes inside is traced doing it.
    """
    number, rows, columns = shape
    divisor, channels = _stated(network, "divisor", 32), _stated(network, "in_channels", 1)
    parameter = next(network.parameters(), None)
    random = torch.Generator().manual_seed(0)
    image = torch.randn(number, channels, rows * divisor, columns * divisor, generator=random)
    return image if parameter is None else image.to(parameter.device)


def count_maps(prepared: Prepared, network: nn.Module) -> int:
    """How many tensors the network, or what a runtime has made of it, gives for an image."""
    with in_eval(network):
        return len(_tensors(prepared(sample(network))))


def check_answer(
    prepared: Prepared, network: nn.Module, precision: Precision, what: str, shapes: Sequence[Sequence[int]] = SHAPES
) -> None:
    """Hold a prepared network against the original: labels must never change silently.

    Args:
        prepared: what a runtime made of it.
        network: the original, in eval mode.
        precision: that of `prepared`.
        what: how an error begins.
        shapes: of the images to try.

    Raises:
        NetworkError: it fails, or its answer is another one.
    """
    for shape in shapes:
        with in_eval(network):
            image = sample(network, shape)
            expected = _tensors(network(image))
            try:
                found = _tensors(prepared(image))
            except Exception as error:  # whatever an engine stumbles over
                raise NetworkError(f"{what} can't run {type(network).__name__} ({first_line(error)})") from error
        if [one.shape for one in found] != [one.shape for one in expected]:
            raise NetworkError(f"{what}: found maps {_shapes(found)}; allowed: the network's {_shapes(expected)}")
        off = max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-6)) for a, b in zip(found, expected))
        if not off <= _ALLOWED[precision]:
            raise NetworkError(
                f"{what}: found another answer than the network's, off by {off:.2g} of its largest logit; allowed: "
                f"{_ALLOWED[precision]} in {precision}"
            )


def _stated(network: nn.Module, name: str, otherwise: int) -> int:
    """What a network says of itself, or the first of its parts that does."""
    values = (getattr(module, name, None) for module in network.modules())
    return next((value for value in values if isinstance(value, int)), otherwise)


def _tensors(answer: Any) -> list[Tensor]:
    return [answer.float()] if isinstance(answer, Tensor) else [one.float() for one in answer]


def _shapes(tensors: Sequence[Tensor]) -> str:
    return ", ".join("x".join(map(str, one.shape)) for one in tensors)
