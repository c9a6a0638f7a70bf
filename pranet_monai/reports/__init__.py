# SPDX-License-Identifier: Apache-2.0
"""The report of a run: tables, pictures, one page, and the facts of the run."""

from __future__ import annotations

from pranet_monai.reports.case_result import CaseMeasurer, CaseResult, MeasuredRow
from pranet_monai.reports.kinds import KINDS, ImageKind, Kind, VolumeKind, create_kind
from pranet_monai.reports.previews import draw_preview
from pranet_monai.reports.run_info import environment, weights_record
from pranet_monai.reports.run_report import RunReport

__all__ = [
    "KINDS",
    "CaseMeasurer",
    "CaseResult",
    "ImageKind",
    "Kind",
    "MeasuredRow",
    "RunReport",
    "VolumeKind",
    "create_kind",
    "draw_preview",
    "environment",
    "weights_record",
]
