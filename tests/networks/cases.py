# SPDX-License-Identifier: Apache-2.0
"""Recorded outputs of the original networks (tests/golden) as tensors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from pranet_monai.networks.key_maps import KeyMap, Rules
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))  # check.py imports recipe.py by its bare name
from tests.golden import check  # noqa: E402

TOLERANCE = 1e-4  # of the output's standard deviation

Case = dict[str, Any]


def load_case(name: str) -> Case:
    return check.load(GOLDEN / f"{name}.npz")


def weights(case: Case) -> dict[str, Tensor]:
    """Official key → tensor."""
    return {key: torch.from_numpy(value) for key, value in check.weights(case).items()}


def empty_weights(case: Case) -> dict[str, Tensor]:
    """Official key → tensor of the right shape and no memory."""
    types = {key: getattr(torch, case["dtypes"][key]) for key in case["keys"]}
    return {key: torch.empty(case["shapes"][key], dtype=types[key], device="meta") for key in case["keys"]}


def inputs(case: Case) -> list[Tensor]:
    return [torch.from_numpy(x) for x in check.inputs(case)]


def load_module(module: nn.Module, case: Case, rules: Rules, unused: tuple[str, ...] = ()) -> nn.Module:
    """Fill a part of a network through the rules that also read whole checkpoints; ``unused`` are key beginnings."""
    key_map = KeyMap(rules)
    own = {key_map.rename(key): value for key, value in weights(case).items() if not key.startswith(unused)}
    module.load_state_dict(own, strict=True)
    return module.eval()


def assert_recorded(case: Case, outputs: dict[str, Tensor]) -> None:
    """Every output within the tolerance, element by element and in its means."""
    found = check.compare(case, {name: output.detach().numpy() for name, output in outputs.items()})
    assert set(found) == set(case["outputs"])
    wrong = {name: errors for name, errors in found.items() if not max(errors) <= TOLERANCE}
    assert not wrong, f"{case['case']}: error in standard deviations {wrong}"
