# SPDX-License-Identifier: Apache-2.0
"""The state of a training run on disk after every epoch, so that a killed run goes on where it stopped."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite import distributed as idist
from ignite.engine import Engine, Events
from pranet_monai.engines.weights import read_safely
from pranet_monai.errors import UsageError
from pranet_monai.storage.atomic import atomic_write

__all__ = ["TrainingState", "unwrapped"]

_log = logging.getLogger(__name__)


class TrainingState:
    """Saves and restores a training run; an ignite handler.

    The file holds the state dicts of ``objects`` and of the trainer's loss scaling, the epoch, the validator's best
    score, and the settings without which going on would be another training. It is written under another name and
    renamed, so it is whole at any moment.

    Args:
        path: the file.
        objects: name → what has ``state_dict`` and ``load_state_dict``: network, optimizer, schedule, ...
        validator: the evaluator whose best score is kept.
        resume: go on from the file where it exists.
        settings: name → JSON value that must be the same after a resume, as the split; number and length of epochs and
            the seed are among them anyway.
    """

    def __init__(
        self,
        path: str | Path,
        objects: Mapping[str, Any],
        validator: Engine | None = None,
        resume: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.objects = {name: unwrapped(item) for name, item in objects.items()}
        self.validator = validator
        self.resume = resume
        self.settings = dict(settings or {})

    def attach(self, engine: Engine) -> None:
        """Restore when the engine starts (if asked to), save after each epoch."""
        if self.resume and self.path.is_file():
            engine.add_event_handler(Events.STARTED, self.restore)
        elif self.resume:
            _log.warning("%s: found no such file, nothing to resume: the training starts from the beginning", self.path)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: Engine) -> None:
        """Write the file; of several processes only the first does."""
        if idist.get_rank() > 0:
            return
        state: dict[str, Any] = {name: item.state_dict() for name, item in self.objects.items()}
        state["epoch"] = engine.state.epoch
        state["settings"] = self._settings_of(engine)
        if hasattr(engine, "grad_scaler"):
            state["grad_scaler"] = engine.grad_scaler.state_dict()
        if self.validator is not None:
            best: Any = self.validator.state
            state["best"] = [float(best.best_metric), int(best.best_metric_epoch)]
        with atomic_write(self.path) as partial:
            torch.save(state, partial)

    def restore(self, engine: Engine) -> None:
        """Read the file into the objects and set the engine to the epoch after it; after the last one, the engine ends.

        Raises:
            UsageError: the file belongs to another training, by its objects or settings.
        """
        state = read_safely(self.path)
        self._check(state, engine)
        for name, item in self.objects.items():
            item.load_state_dict(state[name])
        if "grad_scaler" in state and hasattr(engine, "grad_scaler"):
            engine.grad_scaler.load_state_dict(state["grad_scaler"])
        if self.validator is not None and "best" in state:
            best: Any = self.validator.state
            best.best_metric, best.best_metric_epoch = state["best"]
        engine.state.epoch = int(state["epoch"])
        engine.state.iteration = engine.state.epoch * (engine.state.epoch_length or 0)
        if engine.state.epoch == engine.state.max_epochs:
            _log.warning(
                "%s: has all of the training's %d epochs. To train longer, start a new training from its weights with "
                "finetune_from.",
                self.path,
                engine.state.epoch,
            )

    def _check(self, state: Mapping[str, Any], engine: Engine) -> None:
        missing = [name for name in self.objects if name not in state]
        if missing:
            raise UsageError(
                f"{self.path}: holds {', '.join(state)}; {', '.join(missing)} is missing. Start without resume."
            )
        former, now = state.get("settings", {}), self._settings_of(engine)
        changed = [f"{name} was {former[name]}, is {now.get(name)}" for name in former if former[name] != now.get(name)]
        if changed:
            raise UsageError(
                f"{self.path}: is of another training: {'; '.join(changed)}. Resume with the former settings, or start "
                "a new training from its weights with finetune_from."
            )

    def _settings_of(self, engine: Engine) -> dict[str, Any]:
        own = {
            "number of epochs": engine.state.max_epochs,
            "batches per epoch": engine.state.epoch_length,
            "seed": getattr(engine, "seed", None),
        }
        return {**own, **self.settings}


def unwrapped(item: Any) -> Any:
    """The network inside DistributedDataParallel, so that one GPU can go on with what several began."""
    return item.module if isinstance(item, torch.nn.parallel.DistributedDataParallel) else item
