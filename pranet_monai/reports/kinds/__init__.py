# SPDX-License-Identifier: Apache-2.0
"""Kinds of cases: how each is measured, drawn and described is one object of the table."""

from __future__ import annotations

import inspect
from typing import Any

from pranet_monai.errors import UsageError
from pranet_monai.reports.kinds.base import Kind
from pranet_monai.reports.kinds.image import ImageKind
from pranet_monai.reports.kinds.volume import VolumeKind

__all__ = ["KINDS", "ImageKind", "Kind", "VolumeKind", "create_kind"]

KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (VolumeKind, ImageKind)}


def create_kind(name: str, **options: Any) -> Kind:
    """A kind with options of its own.

    Args:
        name: key in :data:`KINDS`.
        options: how it measures, such as ``tolerance_mm`` of volumes.

    Raises:
        UsageError: an unknown kind, or an option that this kind has no use for; lists what it has.
    """
    if name not in KINDS:
        raise UsageError(f"kind={name!r}: allowed are {', '.join(map(repr, KINDS))}")
    known = [] if KINDS[name].__init__ is object.__init__ else list(inspect.signature(KINDS[name]).parameters)
    unknown = [option for option in options if option not in known]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)}: has no meaning for the kind {name!r}; its options: {', '.join(known) or 'none'}"
        )
    return KINDS[name](**options)
