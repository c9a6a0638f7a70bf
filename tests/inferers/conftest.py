# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from torch import nn

from .base import SmallNet


@pytest.fixture
def network() -> nn.Module:
    return SmallNet().eval()
