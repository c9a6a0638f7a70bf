# SPDX-License-Identifier: Apache-2.0
"""Arguments, images and networks that can't work are named."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from monai.data import MetaTensor
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.inferers import SliceVolumeInferer, ToPixdim, ToSize
from torch import Tensor, nn

from .base import SmallNet, affine, volume


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": "transversal"}, "'axial'"),
        ({"axis": 3}, "axis=3"),
        ({"mode": "mean"}, "'gaussian'"),
        ({"output": "mask"}, "'labels'"),
        ({"resampling": "cubic"}, "'cubic' is unknown: use ToPixdim, ToSize or None"),
        ({"roi_size": (8, 8, 8)}, "roi_size"),
        ({"roi_size": (-1, 8)}, "roi_size"),
        ({"sw_batch_size": 0}, "sw_batch_size=0"),
        ({"divisor": 0}, "divisor=0"),
        ({"overlap": 1.0}, "overlap=1.0"),
        ({"tta": [[2]]}, "tta"),
        ({"adjacent_slices": -1}, "adjacent_slices=-1"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SliceVolumeInferer(**arguments)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (ToPixdim, ((0, 1),), "pixdim"),
        (ToPixdim, ((1, 1, 1),), "pixdim"),
        (ToSize, ((8, -8),), "size"),
        (ToSize, ((8, 8), "linear"), "'linear' is unknown: use one of 'bilinear', 'cubic'"),
    ],
)
def test_wrong_resamplings_are_named(kind: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        kind(*arguments)


def singular() -> Tensor:
    return affine((1, 0, 1))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.zeros(1, 8, 8), r"\(1, 8, 8\)"),
        (torch.zeros(1, 1, 8, 0, 8), "at least one pixel"),
        (torch.zeros(1, 3, 8, 8, 8), "3 input channels are not a whole number of frames of 2"),
        (MetaTensor(torch.zeros(1, 2, 8, 8, 8), affine=singular()), "invertible"),
        (MetaTensor(torch.zeros(1, 2, 8, 8, 8), affine=affine() * float("nan")), "finite"),
    ],
)
def test_bad_inputs_are_named(inputs: Tensor, message: str) -> None:
    with pytest.raises(BadCaseError, match=message):
        SliceVolumeInferer(in_channels=2)(inputs, SmallNet(in_channels=2))


@pytest.mark.parametrize(
    ("mm", "message"),
    [(1500.0, r"cover 1.2e\+04 x 1.2e\+04 mm.*8000.*fix: .*in mm"), (0.0015, "cover 0.012 x 0.012 mm.*0, 0")],
)
def test_header_in_micrometres_or_metres_is_a_bad_case(network: nn.Module, mm: float, message: str) -> None:
    """Instead of filling the memory with 64 million pixels a slice, or an empty mask of a slice in one pixel."""
    inputs = MetaTensor(torch.zeros(1, 1, 8, 8, 2), affine=affine((mm, mm, mm)))
    with pytest.raises(BadCaseError, match=message):
        SliceVolumeInferer(resampling=ToPixdim((1.5, 1.5)))(inputs, network)


def test_batch_of_different_geometry_is_refused(network: nn.Module) -> None:
    two = MetaTensor(torch.zeros(2, 1, 8, 8, 8), affine=torch.stack([affine(), affine((1, 2, 1))]))
    SliceVolumeInferer()(two, network)  # the same axis: fine
    with pytest.raises(BadCaseError, match="in-plane spacing differs"):
        SliceVolumeInferer(resampling=ToPixdim((1, 1)))(two, network)
    two.affine[1] = affine()[[0, 2, 1, 3]]
    with pytest.raises(BadCaseError, match="axial axis differs"):
        SliceVolumeInferer()(two, network)


class Stages(NamedTuple):
    foreground: list[Tensor]
    background: list[Tensor]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda x: Stages([x], [x]), "Stages.*network.eval()"),
        (lambda x: x[..., ::2], "input's size"),
        (lambda x: x.expand(-1, 300, -1, -1), "300"),
    ],
)
def test_networks_that_do_not_fit_are_named(network: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SliceVolumeInferer()(volume(1, 1, 8, 8, 2), network)
