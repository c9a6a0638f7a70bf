# SPDX-License-Identifier: Apache-2.0
"""Handlers of ``CaseEvaluator``: the report's rows and the progress bar."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ignite.engine import Events
from pranet_monai.engines.case_evaluator import CaseEvaluator, CaseEvents
from tqdm import tqdm

if TYPE_CHECKING:
    from pranet_monai.reports import RunReport

__all__ = ["ProgressHandler", "ReportHandler"]


class ReportHandler:
    """Hands what became of each case to the report.

    Args:
        report: takes the rows.
    """

    def __init__(self, report: RunReport) -> None:
        self.report = report

    def attach(self, engine: CaseEvaluator) -> None:
        """Listens to how cases end."""
        for event in CaseEvents:
            engine.add_event_handler(event, self.ended)

    def ended(self, engine: CaseEvaluator) -> None:
        """Writes the case down."""
        self.report.add(engine.state.result)


class ProgressHandler:
    """A progress bar on stderr, and a line for each case that fails.

    Args:
        quiet: no bar; the failures are still named.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def attach(self, engine: CaseEvaluator) -> None:
        """Listens to how cases end."""
        engine.add_event_handler(Events.STARTED, self.started)
        for event in CaseEvents:
            engine.add_event_handler(event, self.ended)
        engine.add_event_handler(CaseEvents.CASE_FAILED, self.failed)
        engine.add_event_handler(Events.COMPLETED, self.finished)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self.stopped)

    def started(self, engine: CaseEvaluator) -> None:
        """Draws the empty bar."""
        self.bar = tqdm(total=engine.state.epoch_length, desc="cases", unit="case", file=sys.stderr, disable=self.quiet)

    def ended(self, engine: CaseEvaluator) -> None:
        """Moves on by one case."""
        self.bar.set_postfix_str(engine.state.result.case, refresh=False)
        self.bar.update()

    def failed(self, engine: CaseEvaluator) -> None:
        """Writes the reason above the bar."""
        self.bar.write(f"failed: {engine.state.result.case}: {engine.state.result.reason}", file=sys.stderr)

    def finished(self, engine: CaseEvaluator) -> None:
        """Leaves the full bar on the screen."""
        self.bar.close()

    def stopped(self, engine: CaseEvaluator, error: BaseException) -> None:
        """Leaves the bar where it is, so that what is said of the error stands below it."""
        self.bar.close()
        raise error
