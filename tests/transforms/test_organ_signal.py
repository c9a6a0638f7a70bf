# SPDX-License-Identifier: Apache-2.0
"""Organs that are darker or brighter than usual."""

from __future__ import annotations

import pytest
import torch
from pranet_monai.errors import UsageError
from pranet_monai.transforms.organ_signal import RandOrganSignald


def _slice() -> dict[str, torch.Tensor]:
    label = torch.zeros(1, 40, 40)
    label[:, 4:20, 4:20] = 1
    label[:, 24:36, 24:36] = 2
    image = torch.full((1, 40, 40), 0.5)  # up to the border, which must not darken
    image[:, 39, 0] = -0.5
    image[label > 0] = 1.5
    return {"image": image, "label": label}


def test_signal_counts_from_the_darkest_pixel_and_only_organs_change() -> None:
    data = _slice()
    out = RandOrganSignald("image", factors=(0.25, 0.25), prob=1.0)(data)
    assert out["image"][0, 12, 12].item() == pytest.approx(-0.5 + 2.0 * 0.25, abs=1e-4)
    assert out["image"][0, 30, 30].item() == pytest.approx(-0.5 + 2.0 * 0.25, abs=1e-4)
    far = torch.ones(40, 40, dtype=torch.bool)
    far[:26, :26] = far[18:, 18:] = False
    assert torch.allclose(out["image"][:, far], data["image"][:, far], atol=1e-4)
    assert torch.equal(out["label"], data["label"])
    assert torch.equal(data["image"], _slice()["image"])  # the argument is left as it was


def test_the_border_fades() -> None:
    image = RandOrganSignald("image", factors=(0.0, 0.0), prob=1.0)(_slice())["image"][0, 12]
    steps = image[12:28].diff().abs()
    assert steps.max() < 1.0  # the sharp step would be 1.0 upwards from -0.5 to 0.5


def test_each_organ_has_its_own_chance_and_factor() -> None:
    transform = RandOrganSignald("image", factors=(0.2, 1.0), prob=0.5)
    transform.set_random_state(0)
    values = [transform(_slice())["image"][0, [12, 30], [12, 30]] for _ in range(200)]
    changed = torch.stack(values) < 1.4999
    assert 0.35 < changed[:, 0].float().mean() < 0.65
    assert (changed[:, 0] != changed[:, 1]).any()


def test_equal_seeds_give_equal_slices() -> None:
    first, second = (RandOrganSignald("image", prob=0.7).set_random_state(3)(_slice())["image"] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("factors", [(1.0, 0.5), (-0.1, 1.0), (1.0,)])
def test_odd_factors_are_named(factors: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="factors is"):
        RandOrganSignald("image", factors=factors)  # type: ignore[arg-type]


def test_neighbouring_slices_change_within_their_own_outlines() -> None:
    """By one factor for an organ, in each slice where the organ is there."""
    data = _slice()
    label = data["label"].repeat(3, 1, 1)
    label[0] = 0  # the organs begin above the first slice
    image = torch.where(label > 0, 1.5, 0.5)
    image[:, 39, 0] = -0.5
    out = RandOrganSignald("image", factors=(0.25, 0.25), prob=1.0)({"image": image, "label": label})["image"]
    assert torch.equal(out[0], image[0])
    assert out[1:, 12, 12].tolist() == pytest.approx([-0.5 + 2.0 * 0.25] * 2, abs=1e-4)


def test_neighbouring_slices_without_labels_are_refused() -> None:
    data = _slice()
    with pytest.raises(UsageError, match=r"found image of shape \(3, 40, 40\).*allowed: the same slices"):
        RandOrganSignald("image", prob=1.0)({**data, "image": data["image"].repeat(3, 1, 1)})
