# SPDX-License-Identifier: Apache-2.0
"""Runtimes: run a network faster than eager PyTorch, with the same labels."""

from __future__ import annotations

from pranet_monai.runtimes.base import PRECISIONS, Precision, Prepared, Runtime
from pranet_monai.runtimes.executor import Executor
from pranet_monai.runtimes.table import AUTO, RUNTIMES

__all__ = ["AUTO", "PRECISIONS", "RUNTIMES", "Executor", "Precision", "Prepared", "Runtime"]
