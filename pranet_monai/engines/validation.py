# SPDX-License-Identifier: Apache-2.0
"""When a training validates, and which weights it keeps."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch
from ignite import distributed as idist
from ignite.engine import Engine, Events
from monai.handlers import ValidationHandler
from pranet_monai.engines.checkpoint import unwrapped
from pranet_monai.storage.atomic import atomic_write

__all__ = ["TrainedWeights", "Validation"]

_log = logging.getLogger(__name__)


class Validation(ValidationHandler):
    """MONAI's ``ValidationHandler`` that also validates after the last epoch, and never without cases.

    Args:
        interval: epochs from one validation to the next.
        validator: the evaluator to run.
    """

    def __init__(self, interval: int, validator: Any) -> None:
        super().__init__(interval, validator, epoch_level=True)

    def attach(self, engine: Engine) -> None:
        """Follow the trainer."""
        validator: Any = self.validator
        if len(validator.data_loader):
            engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=self._is_due), self)

    def _is_due(self, engine: Engine, epoch: int) -> bool:
        return epoch % self.interval == 0 or epoch == engine.state.max_epochs


class TrainedWeights:
    """Writes the result of a training: the weights of its best validation, or without validation the last ones.

    MONAI's ``CheckpointSaver`` doesn't know after a restart what it has saved, so that the first validation after it
    would count as the best. This one goes by the validator's best score, which ``TrainingState`` restores.

    Args:
        path: the file, a plain state dict. One that another training left there becomes ``<path>.old``.
        network: whose weights to write.
        validator: the evaluator of the network; None writes the last weights, whatever the validation says.
        resume: the file is of this training.
    """

    def __init__(self, path: str | Path, network: torch.nn.Module, validator: Any = None, resume: bool = False) -> None:
        self.path = Path(path)
        self.network = network
        self.validator = validator
        self._is_own = resume

    def attach(self, engine: Engine) -> None:
        """Follow the trainer."""
        if self.validator is not None and len(self.validator.data_loader):
            self.validator.add_event_handler(Events.COMPLETED, self._save_if_best)
        else:
            engine.add_event_handler(Events.COMPLETED, self._save)

    def _save_if_best(self, validator: Any) -> None:
        if validator.state.best_metric_epoch == validator.state.epoch:
            self._save()

    def _save(self) -> None:
        """Write the file; of several processes only the first does."""
        if idist.get_rank() > 0:
            return
        if not self._is_own and self.path.is_file():
            old = self.path.with_name(f"{self.path.name}.old")
            os.replace(self.path, old)
            _log.warning("%s: found the weights of another training; they are now %s", self.path, old)
        self._is_own = True
        with atomic_write(self.path) as partial:
            torch.save(unwrapped(self.network).state_dict(), partial)
