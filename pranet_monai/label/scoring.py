# SPDX-License-Identifier: Apache-2.0
"""Active learning by the quality to be expected: the case with the lowest expected Dice is annotated first."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from pranet_monai.bundle_store.served import weights_files
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.label.infer import BundleSegmentation
from pranet_monai.storage.hashing import file_sha256

__all__ = ["EXPECTED_DICE", "ExpectedDiceScoring", "LowestExpectedDice"]

_log = logging.getLogger(__name__)

EXPECTED_DICE = "expected_dice"
"""What a study's image is told with in the datastore: ``dice`` of its worst organ, and the ``weights`` that say so;
where it can't be segmented, ``dice`` is None and ``reason`` says why.
"""


class ExpectedDiceScoring(ScoringMethod):
    """Segments what has no label yet, and writes down how good its worst organ probably is.

    Args:
        model: a bundle with a calibration of its weights, ``models/quality.json``.
    """

    def __init__(self, model: BundleSegmentation) -> None:
        super().__init__(f"Dice to be expected of the worst organ without a reference, by {model.bundle.name}")
        self.model = model

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Scores all images without a label that these weights haven't scored yet.

        Args:
            request: may name a ``device``.
            datastore: the studies.

        Returns:
            ``scored`` and ``kept``: how many, and ``seconds``.

        Raises:
            UsageError: there is no calibration of the weights that count now, as after a training.
        """
        started, scored = time.monotonic(), 0
        images = datastore.get_unlabeled_images()
        name = weights_files(self.model.bundle)[0]
        weights = file_sha256(self.model.bundle.folder / "models" / name)
        for image in images:
            if datastore.get_image_info(image).get(EXPECTED_DICE, {}).get("weights") != weights:
                told = self._told(str(datastore.get_image_uri(image)), name, request)
                datastore.update_image_info(image, {EXPECTED_DICE: {**told, "weights": weights}})
                scored += 1
        return {"scored": scored, "kept": len(images) - scored, "seconds": round(time.monotonic() - started, 1)}

    def _told(self, path: str, weights: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """What is said of an image but for its weights; one that can't be segmented keeps no other from its score."""
        try:
            return {"dice": self._worst(path, weights, request)}
        except BadCaseError as error:
            _log.warning("no score: %s", error)
            return {"dice": None, "reason": str(error)}

    def _worst(self, path: str, weights: str, request: Mapping[str, Any]) -> float | None:
        """The lowest expected Dice of its organs and frames; None where no organ was found."""
        asked = {"image": path, "model_filename": weights, "device": request.get("device")}
        mask, said = self.model({key: value for key, value in asked.items() if value is not None})
        Path(mask).unlink()
        if EXPECTED_DICE not in said:
            raise UsageError(
                f"{self.model.bundle.name}: found no calibration of {weights}, which says what Dice to expect; fix: "
                "pranet-monai calibrate, or choose another strategy"
            )
        found = [dice for frame in said[EXPECTED_DICE] for dice in frame.values() if dice is not None]
        return min(found, default=None)


class LowestExpectedDice(Strategy):
    """Chooses the image without a label that has the lowest expected Dice; one without an organ or a score comes
    last.
    """

    def __init__(self) -> None:
        super().__init__("The case with the lowest expected Dice, of those that the scoring has seen")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """The image to annotate next: ``id`` and, where it has one, its ``score``."""
        images = datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels"))
        scores = {image: datastore.get_image_info(image).get(EXPECTED_DICE, {}).get("dice") for image in images}
        if not scores:
            return None
        chosen = min(scores, key=lambda image: (scores[image] is None, scores[image] or 0.0, image))
        return {"id": chosen} | ({} if scores[chosen] is None else {"score": scores[chosen]})
