# SPDX-License-Identifier: Apache-2.0
"""MONAI's trainer with what the recipes need: bf16 on CPUs too, gradient clipping, epochs that can be repeated."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys as Keys
from pranet_monai.engines.averaging import WeightAverage

__all__ = ["SegmentationTrainer"]


class SegmentationTrainer(SupervisedTrainer):
    """Supervised training of a network whose training output is ``StageLogits``.

    At each epoch's start all random numbers are set from (seed, epoch), and the data loader's sampler and dataset are
    told the epoch where they have ``set_epoch``: a run resumed at an epoch's start goes on as if never stopped.

    The output of an iteration is a list of one dictionary with the whole batch: handlers take the loss from it as from
    MONAI's own trainers, by ``from_engine(["loss"], first=True)``.

    Args:
        clip_norm: largest norm of the whole gradient; None for no clipping.
        clip_value: largest absolute value of each gradient entry (the polyp recipe's clamp); None for no clipping.
        seed: start of all random numbers.
        amp: autocast in bf16 on CPUs, in fp16 with loss scaling on GPUs.
        average: the average of the network's weights that follows the training, or None.
        **kwargs: those of :class:`monai.engines.SupervisedTrainer`.
    """

    def __init__(
        self,
        *args: Any,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        seed: int = 0,
        amp: bool = False,
        average: WeightAverage | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **{"decollate": False, **kwargs})
        self.amp = amp
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.seed = seed
        device = torch.device(self.state.device)
        self.autocast_dtype = torch.float16 if device.type == "cuda" else torch.bfloat16
        # MONAI sets its own `scaler` anew, for CUDA alone, when a run starts
        self.grad_scaler = torch.amp.GradScaler(device.type, enabled=amp and device.type == "cuda")
        self.add_event_handler(Events.EPOCH_STARTED, self._begin_epoch)
        if average is not None:
            average.attach(self)

    def _begin_epoch(self, engine: Engine) -> None:
        torch.manual_seed(self.seed * 1_000_003 + engine.state.epoch)
        loader = self.data_loader
        for part in (getattr(loader, "dataset", None), getattr(loader, "sampler", None)):
            if part is not None and hasattr(part, "set_epoch"):
                part.set_epoch(engine.state.epoch)

    def _iteration(self, engine: Any, batchdata: dict[str, torch.Tensor]) -> Any:
        inputs, targets = self.prepare_batch(batchdata, self.state.device, self.non_blocking, **self.to_kwargs)
        engine.state.output = {Keys.IMAGE: inputs, Keys.LABEL: targets}
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        device = torch.device(self.state.device)
        with torch.autocast(device.type, dtype=self.autocast_dtype, enabled=self.amp):
            engine.state.output[Keys.PRED] = self.inferer(inputs, self.network)
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        loss = self.loss_function(_in_float32(engine.state.output[Keys.PRED]), targets)
        engine.state.output[Keys.LOSS] = loss
        engine.fire_event(IterationEvents.LOSS_COMPLETED)
        self.grad_scaler.scale(loss).backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        self._step()
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return [engine.state.output]

    def _step(self) -> None:
        if self.clip_norm is not None or self.clip_value is not None:
            self.grad_scaler.unscale_(self.optimizer)
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        if self.clip_value is not None:
            torch.nn.utils.clip_grad_value_(self.network.parameters(), self.clip_value)
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()


def _in_float32(prediction: Any) -> Any:
    if torch.is_tensor(prediction):
        return prediction.float()
    return tuple([logits.float() for logits in logits_per_stage] for logits_per_stage in prediction)
