# SPDX-License-Identifier: Apache-2.0
"""What a run leaves for people to judge: tables, previews, one page, and the facts of the run."""

from __future__ import annotations

from .photograph_report import PhotographReport
from .previews import draw_preview
from .run_info import environment, weights_record
from .run_report import RunReport

__all__ = ["PhotographReport", "RunReport", "draw_preview", "environment", "weights_record"]
