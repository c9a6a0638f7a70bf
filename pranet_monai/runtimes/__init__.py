# SPDX-License-Identifier: Apache-2.0
"""Runtimes: what runs a network, faster than PyTorch does by itself, with the same labels."""

from __future__ import annotations

from pranet_monai.runtimes.base import PRECISIONS, Precision, Prepared, Runtime
from pranet_monai.runtimes.executor import Executor
from pranet_monai.runtimes.table import AUTO, RUNTIMES

__all__ = ["AUTO", "PRECISIONS", "RUNTIMES", "Executor", "Precision", "Prepared", "Runtime"]
