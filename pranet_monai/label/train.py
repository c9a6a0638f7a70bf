# SPDX-License-Identifier: Apache-2.0
"""Training in MONAI Label on what was submitted, beginning from the weights that the server segments with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.tasks.train.bundle import BundleTrainTask
from pranet_monai.bundle_store import Bundle
from pranet_monai.bundle_store.served import weights_files
from pranet_monai.errors import UsageError

__all__ = ["BundleTraining"]


class BundleTraining(BundleTrainTask):
    """Runs a bundle's ``train.json`` on the labels of the server's studies.

    Args:
        bundle: that is trained.
        conf: of the app.
    """

    def __init__(self, bundle: Bundle, conf: dict[str, str]) -> None:
        super().__init__(str(bundle.folder), conf)
        self.bundle = bundle
        self._start_from: str | None = None

    def config(self) -> dict[str, Any]:
        """The options that clients show."""
        return {**super().config(), "model_filename": weights_files(self.bundle)}

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Trains; the weights are then ``models/model_trained.pt``."""
        return super().__call__({"model_filename": weights_files(self.bundle), **request}, datastore)

    def _fetch_datalist(self, request: Mapping[str, Any], datastore: Datastore) -> list[dict[str, Any]]:
        submitted: list[dict[str, Any]] = super()._fetch_datalist(request, datastore)
        if not submitted:
            raise UsageError("nothing has been submitted to train on; fix: segment a case, correct it, and submit it")
        return submitted

    def _load_checkpoint(self, model_pytorch: str, pretrained: bool, train_handlers: list[dict[str, Any]]) -> None:
        """Leave it to ``finetune_from``: MONAI Label's loader takes what fits and says nothing of the rest."""
        self._start_from = model_pytorch if pretrained and os.path.isfile(model_pytorch) else None

    def _update_overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        overrides["finetune_from"] = self._start_from
        return overrides
