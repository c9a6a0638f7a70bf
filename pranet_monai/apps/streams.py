# SPDX-License-Identifier: Apache-2.0
"""What a command prints must never end its work: the terminal may be closed, or whoever reads a pipe may go away."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, TextIO

__all__ = ["lasting_streams", "make_streams_last", "unprinted"]


_READER_IS_GONE = (errno.EPIPE, errno.EIO)  # of a pipe, of a terminal


class _Lasting:
    """A stream that drops what can't be written.

    Attributes:
        error: why something was dropped; None as long as nothing was, or if the reader had merely seen enough.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        if error.errno not in _READER_IS_GONE:
            self.error = error
        with suppress(OSError, ValueError):  # no file of the system's: a test's, a notebook's
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # what waits in its buffer goes there

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def make_streams_last() -> None:
    """Changes stdout and stderr of this process for good."""
    _open_what_is_closed()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):  # a name of a file may hold what the terminal can't show
            stream.reconfigure(errors="backslashreplace")
        if not isinstance(stream, _Lasting):
            setattr(sys, name, _Lasting(stream))


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Inside, neither stdout nor stderr raises an OSError."""
    _open_what_is_closed()
    former = sys.stdout, sys.stderr
    make_streams_last()
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = former


def unprinted() -> OSError | None:
    """Why results couldn't be printed that somebody waits for, as on a full disk."""
    sys.stdout.flush()
    return getattr(sys.stdout, "error", None)


def _open_what_is_closed() -> None:
    """Takes the numbers of closed streams, so that no result gets one: libraries in C write their warnings there."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))
