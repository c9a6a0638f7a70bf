# SPDX-License-Identifier: Apache-2.0
"""When a training validates, and how it keeps the weights of its best validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ignite import distributed as idist
from ignite.engine import Engine, Events
from monai.handlers import ValidationHandler

from pranet_monai.atomic import written_whole
from pranet_monai.engines.checkpoint import unwrapped

__all__ = ["BestWeights", "Validation"]


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


class BestWeights:
    """Writes a network's weights whenever the validator has a new best score; an ignite handler of the validator.

    MONAI's ``CheckpointSaver`` forgets at a restart what it has saved, so that the first validation after it would
    count as the best. This one goes by the validator's best score, which ``TrainingState`` restores.

    Args:
        path: the file, a plain state dict.
        network: whose weights to write.
    """

    def __init__(self, path: str | Path, network: torch.nn.Module) -> None:
        self.path = Path(path)
        self.network = network

    def attach(self, engine: Engine) -> None:
        """Follow the validator."""
        engine.add_event_handler(Events.COMPLETED, self.save)

    def save(self, engine: Any) -> None:
        """Write the file if this validation is the best one; of several processes only the first does."""
        if idist.get_rank() > 0 or engine.state.best_metric_epoch != engine.state.epoch:
            return
        with written_whole(self.path) as partial:
            torch.save(unwrapped(self.network).state_dict(), partial)
