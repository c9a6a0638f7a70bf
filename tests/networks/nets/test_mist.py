# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from pranet_monai.networks.nets import MIST
from torch.nn import functional as F

from tests.networks.base import NetworkContract, count_parameters, image


class TestMIST(NetworkContract):
    network = MIST
    small = {"backbone": "test_efficientnet"}


class TestMISTWithoutDSRA(NetworkContract):
    network = MIST
    small = {"backbone": "test_efficientnet", "dsra": False}
    has_background = False


@pytest.mark.parametrize(
    ("dsra", "out_channels", "parameters"), [(True, 4, 279_447_800), (False, 4, 279_442_024), (False, 9, 279_449_244)]
)
def test_published_size(dsra: bool, out_channels: int, parameters: int) -> None:
    assert count_parameters(MIST, dsra=dsra, out_channels=out_channels) == parameters


@pytest.mark.slow
def test_image_is_resized_to_the_windows() -> None:
    """An image of another size gives what its resized copy gives, up to the second resizing of the maps."""
    torch.manual_seed(0)
    net = MIST(in_channels=3, out_channels=2, backbone="maxvit_tiny_rw_224").eval()
    x = image(3, 100, 150)
    with torch.no_grad():
        maps, _ = net.stage_maps(x)
        expected, _ = net.stage_maps(F.interpolate(x, size=(224, 224), mode="bilinear", align_corners=False))
        assert net(x).shape == (2, 2, 100, 150)
    assert all(torch.equal(a, b) for a, b in zip(maps, expected))


def test_decoders_dropout_works_in_training() -> None:
    torch.manual_seed(0)
    net = MIST(in_channels=1, out_channels=2, backbone="test_efficientnet").train()
    net.stem.eval()
    net.backbone.eval()  # its drop path would make a difference too
    with torch.no_grad():
        first, second = net(image(1)).foreground, net(image(1)).foreground
    assert not torch.equal(first[0], second[0])
