# SPDX-License-Identifier: Apache-2.0
"""Views averaged on the volume's own grid, and the same rules for what comes out as in one view."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import Orientationd
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.inferers import MultiViewInferer, SliceVolumeInferer, ToPixdim
from torch import Tensor, nn

from .base import CLASSES, affine, volume

VIEWS = ("axial", "coronal", "sagittal")


def mean_logits(inputs: Tensor, network: nn.Module, axes: tuple[str, ...] = VIEWS, **options: Any) -> Tensor:
    return sum(SliceVolumeInferer(axis=axis, output="logits", **options)(inputs, network) for axis in axes) / len(axes)


def test_logits_are_the_mean_of_the_views(network: nn.Module) -> None:
    inputs = MetaTensor(volume(2, 1, 10, 12, 14), affine=affine((1.0, 1.5, 2.0)))
    options: dict[str, Any] = {"resampling": ToPixdim((1.0, 1.25)), "roi_size": (16, 16)}
    for axes in (VIEWS, VIEWS[1:]):
        logits = MultiViewInferer(SliceVolumeInferer(output="logits", **options), axes)(inputs, network)
        expected = mean_logits(inputs, network, axes, **options)
        torch.testing.assert_close(logits.as_tensor(), expected.as_tensor())
        assert torch.equal(logits.affine, inputs.affine)
    one = SliceVolumeInferer(output="logits", axis="coronal")(inputs, network)
    torch.testing.assert_close(MultiViewInferer(SliceVolumeInferer(output="logits"), ["coronal"])(inputs, network), one)


@pytest.mark.parametrize(("is_watched", "copies"), [(False, 1), (True, 2)])
def test_views_that_do_not_fit_into_memory_are_refused(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch, is_watched: bool, copies: int
) -> None:
    inputs, needed = volume(1, 1, 10, 12, 14), copies * CLASSES * 10 * 12 * 14 * 4
    views = MultiViewInferer(SliceVolumeInferer(), VIEWS)
    views = views.watched_by(lambda *seen: None) if is_watched else views
    monkeypatch.setattr("pranet_monai.inferers.multi_view.available_memory", lambda: needed)
    views(inputs, network)
    monkeypatch.setattr("pranet_monai.inferers.multi_view.available_memory", lambda: needed - 1)
    with pytest.raises(BadCaseError, match=f"{copies} more at once need .* fix: .*--set axis=axial"):
        views(inputs, network)
    MultiViewInferer(SliceVolumeInferer(), ["axial"])(inputs, network)


@pytest.mark.parametrize("frames", [1, 3])
def test_what_comes_out_is_decided_on_the_mean(network: nn.Module, frames: int) -> None:
    inputs = volume(2, frames, 9, 8, 7)
    mean = mean_logits(inputs, network).unflatten(1, (frames, CLASSES))
    labels = MultiViewInferer(SliceVolumeInferer())(inputs, network)
    assert labels.dtype == torch.uint8 and not labels.is_inference()
    assert torch.equal(labels, mean.argmax(2).byte())
    masks = MultiViewInferer(SliceVolumeInferer(activation="sigmoid"))(inputs, network)
    assert torch.equal(masks, (mean > 0).flatten(1, 2).byte())
    probabilities = MultiViewInferer(SliceVolumeInferer(output="probabilities"))(inputs, network)
    torch.testing.assert_close(probabilities, mean.softmax(2).flatten(1, 2))


def test_views_follow_the_anatomy(network: nn.Module) -> None:
    """Stored in another axis order without mirroring, the volume gets the same labels."""
    image = MetaTensor(volume(1, 1, 9, 8, 7), affine=affine((1, 2, 3)))
    turned = Orientationd("x", axcodes="SRA", labels=(("L", "R"), ("P", "A"), ("I", "S")))({"x": image[0]})["x"][None]
    views = MultiViewInferer(SliceVolumeInferer(output="logits"), ["axial"])
    assert turned.shape[2:] == (7, 9, 8)
    torch.testing.assert_close(
        views(turned, network).as_tensor().permute(0, 1, 3, 4, 2), views(image, network).as_tensor()
    )


def test_is_made_from_json(network: nn.Module) -> None:
    config = {
        "inferer": {
            "_target_": "pranet_monai.inferers.MultiViewInferer",
            "inferer": {"_target_": "pranet_monai.inferers.SliceVolumeInferer", "output": "logits"},
            "axes": ["axial", "sagittal"],
        }
    }
    inferer = ConfigParser(config).get_parsed_content("inferer")
    inputs = volume(1, 1, 9, 8, 7)
    torch.testing.assert_close(inferer(inputs, network), mean_logits(inputs, network, ("axial", "sagittal")))


def test_wrong_use_is_named(network: nn.Module) -> None:
    for axes in ([], ["axial", "axial"], ["through_plane"]):
        with pytest.raises(UsageError, match="'axial'"):
            MultiViewInferer(SliceVolumeInferer(), axes)
    with pytest.raises(BadCaseError, match="several views need volumes"):
        MultiViewInferer(SliceVolumeInferer())(volume(1, 1, 8, 8), network)
