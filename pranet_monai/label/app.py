# SPDX-License-Identifier: Apache-2.0
"""The app that ``monailabel start_server`` runs from a folder of ``pranet-monai label-app``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pranet_monai
from fastapi import HTTPException
from monailabel.interfaces.app import MONAILabelApp
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random
from pranet_monai.bundle_store import CALIBRATION
from pranet_monai.bundle_store.served import served_bundles
from pranet_monai.errors import own_error
from pranet_monai.label.infer import BundleSegmentation
from pranet_monai.label.scoring import EXPECTED_DICE, ExpectedDiceScoring, LowestExpectedDice
from pranet_monai.label.train import BundleTraining

__all__ = ["LabelApp"]


class LabelApp(MONAILabelApp):
    """Serves the bundles in ``model/`` of its folder.

    Args:
        app_dir: the app's folder.
        studies: folder of volumes, or the address of a DICOMweb server.
        conf: what ``--conf`` says: ``models`` names some of the bundles, separated by commas; ``skip_scoring false``
            has the studies scored by the Dice to be expected, beginning when the server starts.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        names = [name.strip() for name in (conf or {}).get("models", "").split(",") if name.strip()]
        self.bundles = served_bundles(app_dir, names)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf or {},
            name="pranet-monai",
            description="Volumes segmented slice by slice; research only, not a medical device",
            version=pranet_monai.__version__,
        )

    def init_infers(self) -> dict[str, BundleSegmentation]:
        """A model of each bundle."""
        return {bundle.name: BundleSegmentation(bundle) for bundle in self.bundles}

    def init_trainers(self) -> dict[str, BundleTraining]:
        """A training of each bundle."""
        return {bundle.name: BundleTraining(bundle, self.conf) for bundle in self.bundles}

    def init_strategies(self) -> dict[str, Any]:
        """How the next case to annotate is chosen."""
        scored = {EXPECTED_DICE: LowestExpectedDice()} if self._scores else {}
        return {"random": Random(), "first": First(), **scored}

    def init_scoring_methods(self) -> dict[str, ExpectedDiceScoring]:
        """What the studies are scored by: the first bundle that has a calibration. It costs a segmentation of each."""
        calibrated = [bundle.name for bundle in self.bundles if (bundle.folder / CALIBRATION).is_file()]
        if not calibrated or not self._scores:
            return {}
        return {EXPECTED_DICE: ExpectedDiceScoring(self._infers[calibrated[0]])}

    @property
    def _scores(self) -> bool:
        return str(self.conf.get("skip_scoring", "true")).lower() == "false"  # as MONAI Label's own apps call it

    def infer(self, request: Mapping[str, Any], datastore: Any = None) -> Any:
        """Segments; what is wrong comes to the client in a sentence."""
        with _in_words():
            return super().infer(request, datastore)

    def train(self, request: Mapping[str, Any]) -> Any:
        """Trains. MONAI Label does it in a process of its own and shows what that prints: a wrong use is one line."""
        sys.excepthook = _without_frames
        with _in_words():
            return super().train(request)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if found := own_error(error):
            raise HTTPException(status_code=400, detail=str(found)) from None
        raise


def _without_frames(kind: type[BaseException], error: BaseException, frames: Any) -> None:
    """Ends the process, with one line for an error that has a message."""
    if isinstance(error, HTTPException):
        print(f"error: {error.detail}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, frames)
