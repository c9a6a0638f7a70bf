# SPDX-License-Identifier: Apache-2.0
"""Losses on stages' logits and labels; they know no network."""

from pranet_monai.losses.dual_supervision import DualSupervisionLoss
from pranet_monai.losses.structure import StructureLoss

__all__ = ["DualSupervisionLoss", "StructureLoss"]
