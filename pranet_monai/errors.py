# SPDX-License-Identifier: Apache-2.0
"""The two ways a run can go wrong through its input, told apart because they end differently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["BadCaseError", "UsageError", "unwrapped"]


class UsageError(ValueError):
    """The whole command can't start (wrong folder, missing weights, unwritable output): exit code 2."""


class BadCaseError(ValueError):
    """One case can't be read or processed: its row in the report fails, the other cases go on, exit code 1.

    Attributes:
        remarks: what was remarked on the case's files before.
    """

    remarks: tuple[str, ...] = ()


@contextmanager
def unwrapped() -> Iterator[None]:
    """Around MONAI's work: an error of the two kinds above comes out as itself, not in what MONAI wraps around it."""
    try:
        yield
    except Exception as error:
        link: BaseException | None = error
        while link is not None and not isinstance(link, (UsageError, BadCaseError)):
            link = link.__cause__ or link.__context__
        if link is None or link is error:
            raise
        raise link from error
