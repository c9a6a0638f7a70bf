# SPDX-License-Identifier: Apache-2.0
"""Permissions count for root as well: tests often run as root, who may read whatever is there."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


@contextmanager
def permissions_count() -> Iterator[None]:
    """Inside, this thread and those that it starts have to keep to the permissions of files. On Linux alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    head, sets = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if not hasattr(libc, "capget") or libc.capget(head, sets):
        yield
        return
    effective = sets[0]
    sets[0] = effective & ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
    libc.capset(head, sets)
    try:
        yield
    finally:
        sets[0] = effective
        libc.capset(head, sets)
