# SPDX-License-Identifier: Apache-2.0
"""The loop over a folder of cases, which no single case can stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from ignite.engine import EventEnum
from monai.engines import SupervisedEvaluator
from monai.inferers import Inferer

from pranet_monai.engines.case_dataset import CASE, DONE_MASK, ERROR, reason_of
from pranet_monai.errors import BadCaseError

__all__ = ["CaseEvaluator", "CaseEvents"]


class CaseEvents(EventEnum):
    """How a case ends; exactly one of them fires for each."""

    CASE_COMPLETED = "case_completed"
    CASE_FAILED = "case_failed"
    CASE_SKIPPED = "case_skipped"


class CaseEvaluator(SupervisedEvaluator):
    """MONAI's evaluator for batches of one case, where a bad case becomes a row of the report.

    Loading (see ``CaseDataset``), network, postprocessing with saving, and the handlers of ``CASE_COMPLETED`` may fail:
    the reason is kept, ``CASE_FAILED`` fires, and the next case runs. Ctrl-C stops the run.

    While an event fires, ``state.case`` is the case, ``state.reason`` why it failed, ``state.seconds`` its time without
    loading; ``state.batch[0]`` and ``state.output[0]`` hold a completed case as MONAI's evaluator leaves it.

    Args:
        device: where the network runs.
        val_data_loader: a ``CaseLoader``.
        network: the network, with its weights or with a ``WeightsLoader`` among the handlers.
        inferer: default: the network on the whole input.
        postprocessing: the transforms that turn, save and so on.
        val_handlers: see ``engines.handlers``.
        amp: mixed precision on CUDA.

    Attributes:
        failures: case → reason.
    """

    def __init__(
        self,
        device: torch.device | str,
        val_data_loader: Iterable,
        network: torch.nn.Module,
        inferer: Inferer | None = None,
        postprocessing: Callable | None = None,
        val_handlers: Sequence | None = None,
        amp: bool = False,
    ) -> None:
        super().__init__(
            device=torch.device(device),
            val_data_loader=val_data_loader,
            network=network,
            inferer=inferer,
            postprocessing=postprocessing,  # type: ignore[arg-type]
            val_handlers=val_handlers,
            amp=amp,
            event_names=[CaseEvents],
        )
        self.failures: dict[str, str] = {}

    def _iteration(self, engine: SupervisedEvaluator, batchdata: dict[str, Any]) -> dict:
        case = batchdata[CASE][0]
        self.state.case, self.state.reason, self.state.seconds = case, "", 0.0
        if DONE_MASK in batchdata:
            self.fire_event(CaseEvents.CASE_SKIPPED)
            return {}
        started = time.perf_counter()
        try:
            if ERROR in batchdata:
                raise BadCaseError(batchdata[ERROR][0])
            output = super()._iteration(engine, batchdata)
            self.state.seconds = time.perf_counter() - started
            self.fire_event(CaseEvents.CASE_COMPLETED)
            return output
        except Exception as error:  # whatever is wrong with one case is a row of the report
            self.logger.debug("case %s failed", case, exc_info=True)
            self.failures[case] = self.state.reason = reason_of(error)
        self.state.output = None  # frees the case's memory before the next one
        self.fire_event(CaseEvents.CASE_FAILED)
        return {}
