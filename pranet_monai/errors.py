# SPDX-License-Identifier: Apache-2.0
"""The two kinds of errors that input can cause; they end a run differently."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = [
    "BadCaseError",
    "NetworkError",
    "UsageError",
    "full_disk_in",
    "own_error",
    "reason_of",
    "some_of",
    "unwrapped",
]

# how MONAI says that a component of a config couldn't be made
_NOT_MADE = re.compile(r"Failed to instantiate component '(?P<component>[^']+)'")


class UsageError(ValueError):
    """The whole command can't start (wrong folder, missing weights, unwritable output): exit code 2."""


class NetworkError(UsageError):
    """The network can't be run as asked; it would fail for every case."""


class BadCaseError(ValueError):
    """One case can't be read or processed: its row in the report fails, the other cases go on, exit code 1.

    Attributes:
        remarks: remarks on the case's files before the error.
    """

    remarks: tuple[str, ...] = ()


@contextmanager
def unwrapped() -> Iterator[None]:
    """Around MONAI's work: an error of the two kinds above comes out as itself, not in what MONAI wraps around it."""
    try:
        yield
    except Exception as error:
        found = own_error(error)
        if found is None or found is error:
            raise
        raise found from error


def own_error(error: BaseException) -> UsageError | BadCaseError | None:
    """The error of the two kinds above that MONAI has wrapped, or None.

    It is also wrong use if a component of a config refuses the type or value of an argument.
    """
    link: BaseException | None = error
    refused = None
    while link is not None:
        if isinstance(link, (UsageError, BadCaseError)):
            return link
        cause = link.__cause__ or link.__context__
        if (made := _NOT_MADE.match(str(link))) and isinstance(cause, (TypeError, ValueError)):
            reason = " ".join(f"{type(cause).__name__}: {cause}".split())
            refused = UsageError(f"{made['component']}: can't be made of what it is given ({reason})")
        link = cause
    return refused


def reason_of(error: BaseException) -> str:
    """The message for the user: the cause beneath MONAI's wrapping, without the type of this project's own errors."""
    chain = _chain(error)
    own = [link for link in chain if isinstance(link, (BadCaseError, UsageError))]
    text = str(own[0]) if own else f"{type(chain[-1]).__name__}: {chain[-1]}"
    return " ".join(text.split())


def full_disk_in(error: BaseException) -> OSError | None:
    """The error of a full disk, beneath any wrapping; None for any other error."""
    full = (errno.ENOSPC, errno.EDQUOT)
    return next((link for link in _chain(error) if isinstance(link, OSError) and link.errno in full), None)


def some_of(names: Iterable[str], shown: int = 5) -> str:
    """Names as a message lists them: ``a, b, c and 4 more``."""
    listed = list(names)
    rest = len(listed) - shown
    return ", ".join(listed[:shown]) + (f" and {rest} more" if rest > 0 else "")


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what caused it."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    return chain
