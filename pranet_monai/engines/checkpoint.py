# SPDX-License-Identifier: Apache-2.0
"""The state of a training run on disk after every epoch, so that a killed run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite import distributed as idist
from ignite.engine import Engine, Events

from pranet_monai.atomic import written_whole
from pranet_monai.errors import UsageError

__all__ = ["TrainingState"]


class TrainingState:
    """Saves and restores a training run; an ignite handler.

    The file holds the state dicts of ``objects``, the epoch, and the validator's best score. It is written under
    another name and renamed, so it is whole at any moment.

    Args:
        path: the file.
        objects: name → what has ``state_dict`` and ``load_state_dict``: network, optimizer, schedule, ...
        validator: the evaluator whose best score is kept.
        resume: go on from the file where it exists.
    """

    def __init__(
        self, path: str | Path, objects: Mapping[str, Any], validator: Engine | None = None, resume: bool = False
    ) -> None:
        self.path = Path(path)
        self.objects = {name: _unwrapped(item) for name, item in objects.items()}
        self.validator = validator
        self.resume = resume

    def attach(self, engine: Engine) -> None:
        """Restore when the engine starts (if asked to), save after each epoch."""
        if self.resume and self.path.is_file():
            engine.add_event_handler(Events.STARTED, self.restore)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: Engine) -> None:
        """Write the file; of several processes only the first does."""
        if idist.get_rank() > 0:
            return
        state: dict[str, Any] = {name: item.state_dict() for name, item in self.objects.items()}
        state["epoch"] = engine.state.epoch
        if self.validator is not None:
            best: Any = self.validator.state
            state["best"] = [float(best.best_metric), int(best.best_metric_epoch)]
        with written_whole(self.path) as partial:
            torch.save(state, partial)

    def restore(self, engine: Engine) -> None:
        """Read the file into the objects and set the engine to the epoch after it.

        Raises:
            UsageError: the file belongs to another training: its objects differ, or it has all epochs already.
        """
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        missing = [name for name in self.objects if name not in state]
        if missing:
            raise UsageError(
                f"{self.path}: holds {', '.join(state)}; {', '.join(missing)} is missing. Start without resume."
            )
        epoch, length = int(state["epoch"]), engine.state.epoch_length
        if epoch >= (engine.state.max_epochs or 0):
            raise UsageError(
                f"{self.path}: has {epoch} epochs, the training has {engine.state.max_epochs}: nothing to resume. "
                "Raise the number of epochs or start without resume."
            )
        for name, item in self.objects.items():
            item.load_state_dict(state[name])
        if self.validator is not None and "best" in state:
            best: Any = self.validator.state
            best.best_metric, best.best_metric_epoch = state["best"]
        engine.state.epoch = epoch
        engine.state.iteration = epoch * (length or 0)


def _unwrapped(item: Any) -> Any:
    """The network inside DistributedDataParallel, so that one GPU can go on with what several began."""
    return item.module if isinstance(item, torch.nn.parallel.DistributedDataParallel) else item
