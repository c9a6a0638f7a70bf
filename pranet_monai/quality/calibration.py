# SPDX-License-Identifier: Apache-2.0
"""A bundle's calibration: a small, readable JSON file that belongs to one file of weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pranet_monai.errors import UsageError
from pranet_monai.quality.model import DiceModel
from pranet_monai.storage.tables import write_json

__all__ = ["Calibration", "OrganSize", "plausibility", "read_calibration", "write_calibration"]

FORMAT = 2
_DIGITS = 3  # of an expected Dice: already more than is known
_USUAL, _UNUSUAL = 1.0, 1.5  # standard deviations: usual up to the first, 0.5 that much further


@dataclass(frozen=True)
class OrganSize:
    """The usual size of an organ, as logarithms: of ml, in images of the share of the pixels.

    Attributes:
        log_mean: their mean.
        log_sd: their standard deviation.
        always_there: whether every reference held the organ, so that a mask without it must be wrong.
    """

    log_mean: float
    log_sd: float
    always_there: bool


@dataclass(frozen=True)
class Calibration:
    """How measures become an expected Dice, and below which limit a case is to be reviewed.

    Attributes:
        weights_sha256: of the weights that it was made with; it is not valid for others.
        passes: how many were averaged, mirrored ones and those of several views.
        model: measures to expected Dice.
        sizes: organ → its usual size.
        review_below: a case with an organ of an expected Dice below this is to be reviewed.
        made_of: description of the data it was made from.
        validation: how well it does on patients that were left out.
    """

    weights_sha256: str
    passes: int
    model: DiceModel
    sizes: Mapping[str, OrganSize]
    review_below: float
    made_of: Mapping[str, Any]
    validation: Mapping[str, Any]

    def expected_dice(self, organ: str, measures: Mapping[str, float], size: float) -> float | None:
        """Expected Dice of one organ of a mask; None if the mask lacks an organ that not every patient has.

        Args:
            organ: its name.
            measures: of the organ, ``plausibility`` not among them.
            size: in ml, or of an image as a share of its pixels.
        """
        usual = self.sizes[organ]
        if size <= 0:
            return 0.0 if usual.always_there else None
        expected = self.model.expected_dice(organ, {**measures, "plausibility": plausibility(size, usual)})
        return round(expected, _DIGITS)


def plausibility(size: float, usual: OrganSize) -> float:
    """1 for a usual size, 0.5 for one that is 2.5 standard deviations away, and less beyond."""
    if size <= 0:
        return 0.0
    away = abs(math.log(size) - usual.log_mean) / usual.log_sd
    return 1 / (1 + (max(0.0, away - _USUAL) / _UNUSUAL) ** 2)


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Writes the file atomically."""
    write_json(path, {"format": FORMAT, **_rounded(asdict(calibration))})


def read_calibration(path: Path) -> Calibration:
    """The calibration in a file.

    Raises:
        UsageError: it isn't a calibration, or is of a newer version of this package.
    """
    fix = "fix: make it anew, pranet-monai calibrate BUNDLE DATA"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise UsageError(f"{path}: found a calibration of another version; allowed: format {FORMAT}; {fix}")
        model = DiceModel(**content.pop("model"))
        sizes = {organ: OrganSize(**size) for organ, size in content.pop("sizes").items()}
        return Calibration(model=model, sizes=sizes, **content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: found no calibration ({type(error).__name__}: {error}); {fix}") from error


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
