# SPDX-License-Identifier: Apache-2.0
"""The head by hand-computed numbers, by the recorded step, and in the binary case."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from pranet_monai.networks.blocks import DSRAHead
from pranet_monai.networks.blocks.dsra import DSRA_GAINS, dsra_gain, resize

from tests.golden import recipe
from tests.networks.cases import GOLDEN, TOLERANCE

RECORDED = np.load(GOLDEN / "module_dsra_step.npz")


@pytest.mark.parametrize("suffix", ["", "_nosoftmax"])
@pytest.mark.parametrize("step", json.loads(bytes(RECORDED["spec"]))["spec"], ids=lambda step: step["key"])
def test_recorded_step(step: dict, suffix: str) -> None:
    plain, foreground, background = (
        torch.from_numpy(recipe.make_input(*step[name][:2])) for name in ("pf", "prev_fg", "prev_bg")
    )
    gain = dsra_gain(
        resize(2 * foreground, plain), resize(2 * background, plain), "difference" if suffix else "softmax"
    )
    expected = RECORDED[step["key"] + suffix]
    assert np.abs((plain + plain * gain).numpy() - expected).max() <= TOLERANCE * expected.std()


def head_of_constants(classes: int, gain: str) -> DSRAHead:
    """Two stages whose classifiers give class c the foreground 1 + c and the background 0.5, whatever the features."""
    head = DSRAHead([1, 1], classes, gain, norm=False)
    for classifiers, value in ((head.foreground, 1 + torch.arange(classes)), (head.background, torch.tensor(0.5))):
        for classifier in classifiers:
            torch.nn.init.zeros_(classifier.weight)
            classifier.bias.data = value.float().expand(classes).clone()
    return head


FEATURES = [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 4, 4)]
E = math.e


@pytest.mark.parametrize(
    ("gain", "factors"),
    [
        # margins of the coarser stage: 0.5 and 1.5
        ("softmax", [1 / (1 + E), E / (1 + E)]),
        ("sigmoid", [1 / (1 + E**-0.5), 1 / (1 + E**-1.5)]),
        ("difference", [0.5, 1.5]),
        ("none", [0.0, 0.0]),
    ],
)
def test_gains_by_hand(gain: str, factors: list[float]) -> None:
    foregrounds, backgrounds = head_of_constants(2, gain)(FEATURES)
    assert [m.shape[-1] for m in foregrounds] == [2, 4]
    torch.testing.assert_close(foregrounds[0][0, :, 0, 0], torch.tensor([1.0, 2.0]))  # nothing coarser, no gain
    torch.testing.assert_close(
        foregrounds[1][0, :, 0, 0], torch.tensor([1 + factors[0], 2 + 2 * factors[1]]), rtol=1e-5, atol=1e-6
    )
    assert all(torch.equal(m, torch.full_like(m, 0.5)) for m in backgrounds)


@pytest.mark.parametrize("function", [dsra_gain, torch.jit.script(dsra_gain)], ids=["eager", "scripted"])
def test_a_misspelt_gain_is_no_gain_of_0(function: Callable[..., torch.Tensor]) -> None:
    maps = torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    with pytest.raises(ValueError if function is dsra_gain else torch.jit.Error, match="gain is sigmod, must be one"):
        function(*maps, "sigmod")
    assert all(function(*maps, gain).shape == (1, 2, 4, 4) for gain in DSRA_GAINS)


def test_softmax_doubles_a_single_class() -> None:
    foregrounds, _ = head_of_constants(1, "softmax")(FEATURES)
    assert foregrounds[1].unique().tolist() == [2.0]


def test_seed_gives_the_first_gain() -> None:
    seed = (torch.full((1, 1, 8, 8), 3.0), torch.ones(1, 1, 8, 8))
    foregrounds, _ = head_of_constants(1, "difference")(FEATURES, seed)
    assert foregrounds[0].unique().tolist() == [1 + (3 - 1)]
    assert foregrounds[1].unique().tolist() == [1 + (3 - 0.5)]


@pytest.mark.parametrize("gain", ["softmax", "sigmoid", "difference", "none"])
@pytest.mark.parametrize("classes", [1, 3])
def test_who_has_influence(classes: int, gain: str) -> None:
    """The coarser background reaches the finer foreground, but for one class under softmax, and never without gain."""
    torch.manual_seed(0)
    head = DSRAHead([4, 4], classes, gain).eval()
    foregrounds, _ = head([torch.randn(1, 4, 2, 2), torch.randn(1, 4, 4, 4)])
    (foregrounds[1] ** 2).sum().backward()
    gradient = head.background[0].conv.weight.grad
    influence = 0.0 if gradient is None else float(gradient.abs().max())
    assert (influence > 1e-4) == (gain in ("sigmoid", "difference") or (gain == "softmax" and classes > 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gain": "tanh"}, "gain is 'tanh', must be one of softmax, sigmoid, difference, none"),
        ({"kernel_sizes": [1, 3, 3]}, r"kernel_sizes has 3 entries, must have one per stage \(2\)"),
    ],
)
def test_refusals(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DSRAHead([4, 4], 2, **arguments)
