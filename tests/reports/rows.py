# SPDX-License-Identifier: Apache-2.0
"""Cases for reports, without a network."""

from __future__ import annotations

from typing import Any

from pranet_monai.reports import CaseResult, MeasuredRow, RunReport


def add_case(report: RunReport, name: str, *arrays: Any, seconds: float | None = None, **more: Any) -> None:
    """Measure, draw and write down a case; arguments as of ``CaseMeasurer.measure``."""
    report.add(CaseResult(name, "ok", seconds=seconds, rows=[report.measurer.measure(name, *arrays, **more)]))


def add_failure(report: RunReport, case: str, reason: object) -> None:
    report.add(CaseResult(case, "failed", str(reason)))


def skip(report: RunReport, name: str) -> None:
    report.add(CaseResult(name, "skipped", rows=[MeasuredRow(name)]))
