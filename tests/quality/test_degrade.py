# SPDX-License-Identifier: Apache-2.0
"""Worse copies: the same for the same seed, in the image's range, and the label goes where the image goes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pranet_monai.quality.degrade import DEGRADATIONS, Planes, degraded

GEOMETRIC = ("cut_slices", "cut_sides", "turned", "wrong_spacing")


def case() -> Planes:
    """A bright block that the label outlines, on a ramp; no two voxels of the ramp are alike."""
    label = torch.zeros(1, 6, 40, 48)
    label[:, 1:5, 8:20, 10:30] = 1
    ramp = torch.linspace(0, 1, label.numel()).reshape(label.shape)
    return Planes(100 + 50 * ramp + 300 * label, label)


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_copies_are_reproducible_and_fit_their_label(name: str, strength: float) -> None:
    before = case()
    one, other = (degraded(case(), name, strength, np.random.default_rng(3)) for _ in range(2))
    assert torch.equal(one.image, other.image) and torch.equal(one.label, other.label)
    assert one.image.shape == one.label.shape and torch.isfinite(one.image).all()
    assert before.image.min() - 1e-3 <= one.image.min() and one.image.max() <= before.image.max() + 1e-3
    if name in GEOMETRIC:
        # the block is where the label says
        assert torch.equal(one.image > 300, one.label > 0)
        assert set(one.image.flatten().tolist()) <= set(before.image.flatten().tolist())
    else:
        assert torch.equal(one.label, before.label) and one.zoom == 1
        assert one.image.shape == before.image.shape


@pytest.mark.parametrize("name", [name for name in DEGRADATIONS if name not in GEOMETRIC])
def test_stronger_is_worse(name: str) -> None:
    """Further from the image as it was; lots are drawn a few times, as two strong ones may hide each other."""

    def distance(strength: float) -> float:
        copies = [degraded(case(), name, strength, np.random.default_rng(seed)) for seed in range(8)]
        return float(np.mean([(copy.image - case().image).abs().mean() for copy in copies]))

    assert distance(0.0) < distance(1.0) and distance(1.0) > 1


def test_geometry_changes() -> None:
    def copies(name: str, strength: float) -> list[Planes]:
        return [degraded(case(), name, strength, np.random.default_rng(seed)) for seed in range(4)]

    assert {len(copy.image[0]) for copy in copies("cut_slices", 1.0)} == {1}
    assert all(copy.image[0, 0].numel() < 40 * 48 for copy in copies("cut_sides", 0.0))
    assert {tuple(copy.image.shape[2:]) for copy in copies("turned", 0.9)} == {(48, 40)}
    assert {round(copy.zoom, 3) for copy in copies("wrong_spacing", 1.0)} == {2.0, 0.5}
