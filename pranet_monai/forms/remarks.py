# SPDX-License-Identifier: Apache-2.0
"""Remarks: what a reader assumed where a file says too little or contradicts itself. They travel to the case's row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from monai.data import MetaTensor
from pranet_monai.errors import BadCaseError

__all__ = ["REMARKS", "add_remarks", "remarks_of", "remarks_of_error", "with_remarks"]

REMARKS = "remarks"
"""Meta key: a list of sentences."""


def remarks_of(volume: Any) -> list[str]:
    """The remarks on a volume or image, or of its metadata; none where it carries no metadata."""
    meta = volume if isinstance(volume, Mapping) else getattr(volume, "meta", {})
    return list(meta.get(REMARKS, []))


def add_remarks(volume: MetaTensor, remarks: Sequence[str]) -> None:
    """Puts further remarks into the metadata of a volume, each once."""
    volume.meta[REMARKS] = list(dict.fromkeys([*remarks_of(volume), *remarks]))


@contextmanager
def with_remarks(remarks: Sequence[str]) -> Iterator[None]:
    """Around further work on a file: if that fails, the row of the case still holds what was remarked before.

    Raises:
        BadCaseError: as it came, with the remarks.
    """
    try:
        yield
    except BadCaseError as error:
        error.remarks = tuple(dict.fromkeys([*remarks, *error.remarks]))
        raise


def remarks_of_error(error: BaseException) -> list[str]:
    """The remarks that came with an error, also beneath what MONAI wraps around it."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, BadCaseError):
            return list(link.remarks)
        link = link.__cause__
    return []
