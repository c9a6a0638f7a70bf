# SPDX-License-Identifier: Apache-2.0
"""What a run leaves for people to judge: tables, previews, one page, and the facts of the run."""

from __future__ import annotations

from pranet_monai.reports.photograph_report import PhotographReport
from pranet_monai.reports.previews import draw_preview
from pranet_monai.reports.run_info import environment, weights_record
from pranet_monai.reports.run_report import RunReport

__all__ = ["PhotographReport", "RunReport", "draw_preview", "environment", "weights_record"]
