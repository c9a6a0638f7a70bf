# SPDX-License-Identifier: Apache-2.0
"""A process that does all of a case but the network's part, which it asks for over a pipe."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, NoReturn

import numpy as np
import torch
from monai.data import Dataset, MetaTensor
from pranet_monai.engines.case_runner import CaseRunner
from pranet_monai.reports.case_result import CaseResult

__all__ = ["CaseWorker", "WorkerDiedError"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CHUNK = 4 << 20  # bytes in one message: a receiver holds that much twice
_STOP_SECONDS = 4.0
# "fork" starts in no time, with everything loaded, as PyTorch's DataLoader does on Linux; elsewhere it isn't safe
_CONTEXT: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


class WorkerDiedError(Exception):
    """The process ended in the middle of a case; the text says how."""


class CaseWorker:
    """One such process, from the side of the process that has the network.

    Args:
        runner: does the cases there.
        items: the loaded cases, by number; loaded there.
    """

    def __init__(self, runner: CaseRunner, items: Dataset) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        parts = theirs, self._pipe, runner.asking(_no_network), items
        self._process = _CONTEXT.Process(target=_work, args=parts, daemon=True)
        with _signals_later():
            self._process.start()
        theirs.close()

    def do(self, number: int, answer: Callable[[torch.Tensor], dict[str, Any] | Exception]) -> CaseResult:
        """Does a case.

        Args:
            number: of the case.
            answer: what the network says on an image, or why it can't.

        Raises:
            WorkerDiedError: the process did.
            Exception: what comes through ``CaseRunner.run``.
        """
        try:
            _send(self._pipe, number)
            while not isinstance(message := _receive(self._pipe), (CaseResult, Exception)):
                _send(self._pipe, answer(message))
                del message
        except (EOFError, ConnectionError) as error:
            self._process.join(_STOP_SECONDS)
            raise WorkerDiedError(_how_it_ended(self._process.exitcode)) from error
        if isinstance(message, Exception):
            raise message
        return message

    @staticmethod
    def stop(workers: Sequence[CaseWorker]) -> None:
        """Ends processes, which remove what they have half written; those that don't end in time are killed."""
        processes, deadline = [worker._process for worker in workers], time.monotonic() + _STOP_SECONDS
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in processes:
            process.kill()
            process.join()


@contextmanager
def _signals_later() -> Iterator[None]:
    """Inside, a process starts without getting any signal before it can handle it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where none can be handled
        yield
        return
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _work(pipe: Connection, theirs: Connection, runner: CaseRunner, items: Dataset) -> None:
    """What the process does, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too; the other process says when to stop
    signal.signal(signal.SIGTERM, _leave)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    theirs.close()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)

    def ask(image: torch.Tensor) -> dict[str, Any]:
        _send(pipe, image)
        answer: dict[str, Any] | Exception = _receive(pipe)
        if isinstance(answer, Exception):
            raise answer
        return answer

    runner = runner.asking(ask)
    try:
        while True:
            number = _receive(pipe)
            try:
                done: CaseResult | Exception = runner.run(items[number])
            except Exception as error:  # noqa: BLE001 - for the other process, whatever it is
                done = error
            _send(pipe, done)
    except (EOFError, ConnectionError):
        return


def _no_network(image: torch.Tensor) -> NoReturn:
    raise NotImplementedError("the process that has the network isn't known yet")


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _end_with_parent() -> None:
    """Nothing may go on writing into a folder whose run was killed: the next one may have begun."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _how_it_ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with code {code}"
    name = signal.Signals(-code).name
    return f"was killed by {name}" + (", as the system does when memory runs out" if name == "SIGKILL" else "")


# --- objects with large arrays over a pipe, which never lie in memory as one pickle beside the arrays


class _Pickler(pickle.Pickler):
    """Takes tensors for the arrays that they are; ``torch.multiprocessing`` would need shared memory for them."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, MetaTensor):
            return _meta_tensor, (obj.as_tensor(), dict(obj.meta), obj.applied_operations, obj.is_batch)
        if isinstance(obj, torch.Tensor):
            return torch.from_numpy, (np.asarray(obj.numpy(force=True), order="C"),)
        return NotImplemented


def _meta_tensor(tensor: torch.Tensor, meta: dict[str, Any], operations: list[Any], is_batch: bool) -> MetaTensor:
    made = MetaTensor(tensor, meta=meta, applied_operations=operations)
    made.is_batch = is_batch
    return made


def _send(pipe: Connection, value: Any) -> None:
    buffers: list[pickle.PickleBuffer] = []
    head = io.BytesIO()
    _Pickler(head, protocol=5, buffer_callback=buffers.append).dump(value)
    arrays = [buffer.raw() for buffer in buffers]
    pipe.send(([array.nbytes for array in arrays], head.getvalue()))
    for array in arrays:
        for start in range(0, array.nbytes, _CHUNK):
            pipe.send_bytes(array[start : start + _CHUNK])


def _receive(pipe: Connection) -> Any:
    sizes, head = pipe.recv()
    arrays = [np.empty(size, np.uint8) for size in sizes]
    for array in arrays:
        for start in range(0, array.nbytes, _CHUNK):
            pipe.recv_bytes_into(array[start : start + _CHUNK].data)
    return pickle.loads(head, buffers=arrays)
