# SPDX-License-Identifier: Apache-2.0
"""Estimates the quality of a run's masks, if the bundle has a calibration of its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.inferers import Inferer
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.errors import UsageError
from pranet_monai.inferers import WatchableInferer
from pranet_monai.quality.calibration import Calibration, read_calibration
from pranet_monai.quality.evidence import Evidence
from pranet_monai.storage.hashing import file_sha256
from torch import nn

__all__ = ["Judgement", "QualityJudge", "organ_size"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judgement:
    """The estimate for one mask.

    Attributes:
        expected_dice: per organ; None if there is no estimate.
        review: whether a person should look at the mask first.
    """

    expected_dice: Mapping[str, float | None]
    review: bool


class QualityJudge:
    """Estimates the quality of masks without a reference, from the pass that makes them.

    Args:
        network: gives opinions beside its logits, see ``networks.nets.WithOpinions``.
        label_map: the organs, or the map's name.
        calibration: its file; without one there are no estimates.
        weights: file of the network's weights; a calibration of others isn't used.
        inferer: that the calibration must fit.
        wants_map: also make a map of the network's confidence in each voxel; that needs no calibration.
        gathers: gather the evidence without a calibration, too, to make one.

    Attributes:
        network: as given.
        wants_map: likewise.
        gathers: whether evidence of the passes is gathered.
        calibration: None where nothing is judged.
        status: "on", or the reason why not.

    Raises:
        UsageError: the calibration can't be read, or a map is wanted of an inferer that can't be watched.
    """

    def __init__(
        self,
        network: nn.Module,
        label_map: LabelMap | str,
        calibration: str | Path,
        weights: str | Path,
        inferer: Inferer,
        wants_map: bool = False,
        gathers: bool = False,
    ) -> None:
        self.network = network
        self.wants_map = wants_map
        self.label_map = get_label_map(label_map)
        self.calibration, self.status = self._usable(Path(calibration).expanduser(), Path(weights), inferer)
        self.gathers = gathers or wants_map or self.is_on
        if self.calibration is None and not gathers and Path(calibration).expanduser().is_file():
            _log.warning("quality %s", self.status)
        if self.gathers and not isinstance(inferer, WatchableInferer):
            raise UsageError(
                f"quality: found the inferer {type(inferer).__name__}; allowed for maps and calibrations: "
                "SliceVolumeInferer, MultiViewInferer"
            )

    @property
    def is_on(self) -> bool:
        """Whether masks are judged."""
        return self.calibration is not None

    def _usable(self, path: Path, weights: Path, inferer: Inferer) -> tuple[Calibration | None, str]:
        if not path.is_file():
            return None, "off: the bundle has no calibration (pranet-monai calibrate makes one)"
        found = read_calibration(path)
        here = file_sha256(weights) if weights.is_file() else "missing"
        fix = "so no Dice is expected of the masks; fix: pranet-monai calibrate BUNDLE DATA"
        if found.weights_sha256 != here:
            return None, f"off: {path} belongs to weights {found.weights_sha256[:12]}…, these are {here[:12]}…, {fix}"
        if set(found.sizes) != set(self.label_map.organs):
            organs = ", ".join(found.sizes)
            return None, f"off: {path} belongs to other organs ({organs}), {fix}"
        if not isinstance(inferer, WatchableInferer):
            return None, f"off: {path} belongs to an inferer that can be watched, found {type(inferer).__name__}"
        if inferer.passes != found.passes:
            return None, f"off: {path} was made with {found.passes} passes (tta, views), this run has {inferer.passes}"
        return found, "on"

    def judge(self, evidence: Evidence, frame: int, rows: Sequence[Mapping[str, Any]], voxels: int) -> Judgement:
        """Estimates the quality of a mask.

        Args:
            evidence: of the pass.
            frame: of a cine.
            rows: of the organs as they were measured.
            voxels: of the whole mask.
        """
        if self.calibration is None:
            raise ValueError(f"no quality estimate: {self.status}")
        counts = {row["organ"]: int(row.get("voxels", row.get("pixels", 0))) for row in rows}
        measures = evidence.measures(frame, self.label_map.organs, counts)
        expected = {
            row["organ"]: self.calibration.expected_dice(row["organ"], measures[row["organ"]], organ_size(row, voxels))
            for row in rows
        }
        known = [dice for dice in expected.values() if dice is not None]
        return Judgement(expected, bool(known) and min(known) < self.calibration.review_below)


def organ_size(row: Mapping[str, Any], voxels: int) -> float:
    """Of an organ's row: ml, or of an image the share of its pixels."""
    return float(row["volume_ml"]) if "volume_ml" in row else float(row["pixels"]) / voxels
