# SPDX-License-Identifier: Apache-2.0
"""A network with opinions, and masks with a known Dice, for the tests of quality."""

from __future__ import annotations

import numpy as np
from pranet_monai.quality.calibration import OrganSize
from pranet_monai.quality.examples import UNCHANGED, Example
from torch import Tensor, nn

from ..inferers.base import SmallNet

ORGANS = ("right_ventricle", "myocardium", "left_ventricle")
SIZES = {organ: OrganSize(4.0, 0.5, True) for organ in ORGANS}


class TwoMinds(nn.Module):
    """Two untrained networks: the answer of the first, and the second's as an opinion."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.in_channels = 1
        self.first, self.second = SmallNet(1, classes), SmallNet(1, classes)
        for parameter in self.second.parameters():
            parameter.data *= 0.7

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(x), self.second(x)


def some_examples(patients: int = 6, seed: int = 0) -> list[Example]:
    """Dice is a measure with a little noise; another measure is noise alone."""
    rng = np.random.default_rng(seed)
    examples = []
    for patient in range(patients):
        for copy in range(4):
            for organ in ORGANS:
                dice = float(rng.uniform(0.3, 0.98))
                measures = {
                    "soft_dice": float(np.clip(dice + rng.normal(0, 0.02), 0, 1)),
                    "certainty": float(rng.uniform(0.5, 1)),
                    "mirrored": float("nan"),
                }
                kind = UNCHANGED if copy == 0 else "noise"
                examples.append(Example(f"p{patient}", f"p{patient}_ED", kind, copy / 4, organ, dice, 50.0, measures))
    return examples
