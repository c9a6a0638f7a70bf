# SPDX-License-Identifier: Apache-2.0
"""Review of a run's masks in the browser, case by case."""

from __future__ import annotations

from pranet_monai.review.run import ReviewedRun
from pranet_monai.review.server import ReviewServer

__all__ = ["ReviewServer", "ReviewedRun"]
