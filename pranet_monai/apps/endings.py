# SPDX-License-Identifier: Apache-2.0
"""How a command ends that can't go on: one line on stderr, no traceback, and the exit code that a shell expects.

1 for a full disk, 2 for wrong use, 130 after Ctrl-C, 143 after SIGTERM. Loads nothing heavy.
"""

from __future__ import annotations

import _thread
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from multiprocessing.process import active_children
from types import FrameType, TracebackType
from typing import Any, ClassVar, NoReturn

from pranet_monai.apps.streams import make_streams_last
from pranet_monai.errors import UsageError, own_error

__all__ = [
    "KEPT_CASES",
    "KEPT_EPOCHS",
    "Terminated",
    "errors_in_one_line",
    "exit_code_of",
    "install_excepthook",
    "full_disk_exits",
    "is_command",
    "own_command",
    "stoppable",
]

KEPT_CASES = "finished cases are kept"
KEPT_EPOCHS = "finished epochs are kept"

_END_SECONDS = 15.0
"""How long the orderly end of a command may take that is stopped: more than its workers get."""

_Hook = Callable[[type[BaseException], BaseException, "TracebackType | None"], Any]
_OWN_COMMAND: ContextVar[bool] = ContextVar("own_command", default=False)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as ``kill`` and the schedulers of clusters send it; what lets Ctrl-C through lets this through."""


def exit_code_of(stop: KeyboardInterrupt) -> int:
    """128 and the signal's number: 143 after SIGTERM, 130 after Ctrl-C."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGTERM raises :class:`Terminated`, so that half-written files are removed; afterwards it is as before.

    The first signal, SIGTERM or Ctrl-C, is the one that counts: others can't disturb what it has begun, and whatever
    becomes of it, this process and those that it has started have ended some seconds later. A program that handles
    SIGTERM itself keeps its handler, and so do threads, which can't have any.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        with _as_it_came():
            yield
        return
    stop = _Stop()
    try:
        with _as_it_came():
            yield
    finally:
        stop.is_over()


@contextmanager
def _as_it_came() -> Iterator[None]:
    """What a signal has raised leaves as that, even if other code has turned it into an exception of its own."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if _Stop.kind is None or type(error) is _Stop.kind:
            raise
        raise _Stop.kind from error


class _Stop:
    """Handles SIGTERM and, where Python's own handler would, Ctrl-C.

    Attributes:
        kind: what the first signal has raised, until its end; None without one.
    """

    kind: ClassVar[type[KeyboardInterrupt] | None] = None

    def __init__(self) -> None:
        self._at_work = threading.Lock()
        self._at_work.acquire()
        handled = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
        self._former = {number: former for number, former in handled.items() if signal.getsignal(number) is former}
        for number in self._former:
            signal.signal(number, self._raise)

    def _raise(self, number: int, frame: FrameType | None) -> NoReturn:
        _Stop.kind = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        for each in self._former:
            signal.signal(each, signal.SIG_IGN)
        # not threading's threads: starting one takes a lock, which the main thread may hold just now
        _thread.start_new_thread(self._cut_short, (128 + number,))
        raise _Stop.kind

    def _cut_short(self, code: int) -> None:
        """In a thread: ends all, as SIGKILL would, if the main thread has lost what the signal raised, or waits."""
        if not self._at_work.acquire(timeout=_END_SECONDS):
            _kill_children()
            os.write(2, f"stopped: cut short after {_END_SECONDS:g} s; what is finished is kept\n".encode())
            os._exit(code)

    def is_over(self) -> None:
        """Everything is as before; of a work that was stopped, no process is left."""
        if _Stop.kind is not None:
            _kill_children()
        self._at_work.release()
        for number, former in self._former.items():
            signal.signal(number, former)
        _Stop.kind = None


def _kill_children() -> None:
    for child in active_children():
        child.kill()


@contextmanager
def own_command() -> Iterator[None]:
    """Around a run of ``pranet-monai``: wrong use ends it, as it ends ``monai.bundle run``."""
    token = _OWN_COMMAND.set(True)
    try:
        yield
    finally:
        _OWN_COMMAND.reset(token)


def is_command() -> bool:
    """Whether this process is a command, this project's or ``python -m monai.bundle``, and not another program."""
    return _OWN_COMMAND.get() or _is_monai_bundle_command()


@contextmanager
def errors_in_one_line(kept: str) -> Iterator[None]:
    """Around the work of a run: wrong use ends it, and in a command Ctrl-C and SIGTERM do.

    Args:
        kept: what a stopped run leaves.

    Raises:
        SystemExit: with code 2, 130 or 143, after one line on stderr.
    """
    if not is_command():
        with _wrong_use_exits():
            yield
        return
    try:
        with stoppable(), _no_interrupt_logs(), _wrong_use_exits():
            yield
    except KeyboardInterrupt as stop:
        option = "--resume" if _OWN_COMMAND.get() else "--resume True"
        print(f"stopped: {kept}; to continue, run the same command with {option}", file=sys.stderr)
        raise SystemExit(exit_code_of(stop)) from stop


@contextmanager
def full_disk_exits(how_to_go_on: str = "then continue with --resume") -> Iterator[None]:
    """Around what writes: a full disk ends the run with code 1 after one line on stderr.

    Args:
        how_to_go_on: when there is room.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"error: {where}no more can be written ({error.strerror or error}); the {KEPT_CASES}; "
            f"fix: make room, {how_to_go_on}",
            file=sys.stderr,
        )
        raise SystemExit(1) from error


def install_excepthook() -> None:
    """Lets ``python -m monai.bundle`` name wrong use in a line of its own, too, where a component is made.

    MONAI makes the components of a config before any function of this project could catch what they raise. Only that
    process is changed, whose end is near then: any other program keeps its tracebacks. What it prints can't end it,
    either.
    """
    if _is_monai_bundle_command():
        make_streams_last()
        sys.excepthook = partial(_excepthook, sys.excepthook)  # before Python 3.11 a library may have put its own there


def _excepthook(otherwise: _Hook, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    stop = _stop_behind(error)
    if stop is not None:
        print("\nstopped", file=sys.stderr)
        raise SystemExit(exit_code_of(stop))  # Python takes the code over
    found = own_error(error) if isinstance(error, Exception) else None
    if found is None:
        otherwise(kind, error, trace)
        return
    print(f"error: {found}", file=sys.stderr)
    raise SystemExit(2)


def _stop_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """The Ctrl-C that an error is or was made of, as MONAI's import of a component makes one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


@contextmanager
def _wrong_use_exits() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error


@contextmanager
def _no_interrupt_logs() -> Iterator[None]:
    """What ignite and MONAI log of an interrupt, with a traceback, does not help a user who has pressed Ctrl-C."""
    handlers = [handler for handler in (*logging.getLogger().handlers, logging.lastResort) if handler]
    for handler in handlers:
        handler.addFilter(_is_no_interrupt)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_no_interrupt)


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    return not isinstance(sys.exc_info()[1], KeyboardInterrupt)


def _is_monai_bundle_command() -> bool:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name == "monai.bundle.__main__"
