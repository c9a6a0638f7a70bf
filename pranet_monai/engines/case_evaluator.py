# SPDX-License-Identifier: Apache-2.0
"""The loop over a folder of cases; no single case can stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from ignite.engine import EventEnum
from monai.engines import SupervisedEvaluator
from monai.inferers import Inferer
from pranet_monai.engines.case_runner import CaseRunner
from pranet_monai.engines.case_schedule import CaseSchedule
from pranet_monai.quality import QualityJudge
from pranet_monai.reports.case_result import CaseMeasurer, CaseResult

__all__ = ["CaseEvaluator", "CaseEvents"]


class CaseEvents(EventEnum):
    """How a case ended; exactly one of these events fires per case."""

    CASE_COMPLETED = "case_completed"
    CASE_FAILED = "case_failed"
    CASE_SKIPPED = "case_skipped"


_EVENTS = {"ok": CaseEvents.CASE_COMPLETED, "failed": CaseEvents.CASE_FAILED, "skipped": CaseEvents.CASE_SKIPPED}


class CaseEvaluator(SupervisedEvaluator):
    """MONAI's evaluator for whole cases, each processed by a :class:`CaseRunner`; a bad case becomes a failed row.

    While an event fires, ``state.result`` is what became of the case, a ``CaseResult``. Ctrl-C stops the run.

    Args:
        device: where the network runs.
        val_data_loader: a ``CaseLoader``, or a ``RaySchedule``.
        network: the network, with its weights or with a ``WeightsLoader`` among the handlers.
        inferer: default: the network on the whole input.
        postprocessing: the transforms that make labels, turn them back, save and so on.
        val_handlers: see ``engines.handlers``.
        measurer: measures and draws the cases, that of the report; None leaves that out.
        quality: estimates the quality of the masks; None leaves that out.

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
        measurer: CaseMeasurer | None = None,
        quality: QualityJudge | None = None,
    ) -> None:
        self.runner = CaseRunner(network, measurer, inferer, postprocessing, device, quality)
        self._schedule = CaseSchedule(val_data_loader, self.runner)
        super().__init__(
            device=torch.device(device),
            val_data_loader=self._schedule,
            network=network,
            inferer=inferer,
            val_handlers=val_handlers,
            event_names=[CaseEvents],
        )
        self.failures: dict[str, str] = {}

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]
        """Processes all cases; no worker process survives an early end."""
        try:
            super().run(global_epoch)
        finally:
            self._schedule.close()

    def _iteration(self, engine: SupervisedEvaluator, batchdata: Any) -> dict:
        result: CaseResult = batchdata
        self.state.result = result
        if result.status == "failed":
            self.failures[result.case] = result.reason
        self.fire_event(_EVENTS[result.status])
        return {}
