# SPDX-License-Identifier: Apache-2.0
"""Which case is done when: one after the other here, or around the network in processes beside this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import torch
from pranet_monai.engines.case_dataset import CASE, CaseDataset, CaseLoader
from pranet_monai.engines.case_runner import CaseRunner
from pranet_monai.engines.case_worker import CaseWorker, WorkerDiedError
from pranet_monai.errors import BadCaseError, NetworkError, reason_of
from pranet_monai.reports.case_result import CaseResult

__all__ = ["CaseSchedule"]

_ATTEMPTS = 2


class CaseSchedule:
    """What becomes of the cases, in their order, as they end.

    With workers, each is a process that loads, saves, measures and draws whole cases, and this process runs the network
    for all of them: it never waits for anything else as long as they keep up. If a worker dies, its case is tried once
    more in a new one; then it becomes a failed row.

    Args:
        loader: of the cases; says how many workers there are.
        runner: does them.
    """

    def __init__(self, loader: Iterable[Any], runner: CaseRunner) -> None:
        self.loader = loader
        self.runner = runner
        self._running: Generator[CaseResult, None, None] | None = None

    def __len__(self) -> int:
        return len(self.loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[CaseResult]:
        self.close()
        workers = self.loader.workers if isinstance(self.loader, CaseLoader) else 0
        self._running = self._around_network(min(workers, len(self))) if workers > 0 else self._one_by_one()
        return self._running

    def close(self) -> None:
        """Stops at once."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _one_by_one(self) -> Generator[CaseResult, None, None]:
        for item in self.loader:
            result = item if isinstance(item, CaseResult) else self.runner.run(item)  # a RaySchedule has had it done
            del item  # frees the case's memory before the next one
            yield result

    def _around_network(self, workers: int) -> Generator[CaseResult, None, None]:
        with _Workers(self.runner, self.loader.dataset, workers) as crew:  # type: ignore[attr-defined]
            numbers, pending = iter(range(len(self))), deque[Future[CaseResult]]()
            while True:
                for number in numbers:
                    pending.append(crew.submit(number))
                    if len(pending) > workers:  # one more than there are workers, so that none has to wait
                        break
                if not pending:
                    return
                crew.serve_until(pending[0])
                yield pending.popleft().result()


class _Question(NamedTuple):
    """An image that waits for the network's answer."""

    image: torch.Tensor
    answer: Future[dict[str, Any] | Exception]


class _Workers:
    """Workers, a thread here for each, and one queue for the network.

    Args:
        runner: does the cases.
        dataset: the cases.
        size: number of workers.
    """

    def __init__(self, runner: CaseRunner, dataset: CaseDataset, size: int) -> None:
        self._runner = runner
        self._dataset = dataset
        self._line: SimpleQueue[_Question | None] = SimpleQueue()  # None: a case has ended
        self._is_closed = False
        self._workers = [CaseWorker(runner, dataset) for _ in range(size)]  # before there are any threads
        self._idle = deque(self._workers)
        self._threads = ThreadPoolExecutor(size)

    def submit(self, number: int) -> Future[CaseResult]:
        """Has a case done."""
        future = self._threads.submit(self._do, number)
        future.add_done_callback(lambda _: self._line.put(None))
        return future

    def serve_until(self, case: Future[CaseResult]) -> None:
        """Runs the network for the workers, until a case has ended."""
        while not case.done():
            if (question := self._line.get()) is not None:
                self._answer(question)
            del question

    def _answer(self, question: _Question) -> None:
        try:
            question.answer.set_result(self._runner.answer(question.image))
        except NetworkError as error:  # ends the run, by way of whoever asked
            question.answer.set_result(error)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one case is a row of the report
            question.answer.set_result(BadCaseError(reason_of(error)))
        finally:
            question.answer.cancel()  # without effect, but after Ctrl-C

    def _do(self, number: int) -> CaseResult:
        """In a thread: a case by a worker, by a second one if the first dies."""
        for _ in range(_ATTEMPTS):
            worker = self._idle.popleft()
            try:
                return worker.do(number, self._ask)
            except WorkerDiedError as error:
                if self._is_closed:
                    raise CancelledError from error
                ending = str(error)
                self._workers.remove(worker)
                worker.stop()
                worker = CaseWorker(self._runner, self._dataset)
                self._workers.append(worker)
            finally:
                self._idle.append(worker)
        fix = "make sure that there is memory for it; --set workers=0 does without such processes"
        reason = f"the process that worked on it {ending}, {_ATTEMPTS} times; fix: {fix}"
        return CaseResult(self._dataset.data[number][CASE], "failed", reason)

    def _ask(self, image: torch.Tensor) -> dict[str, Any] | Exception:
        """In a thread: waits for the network."""
        question = _Question(image, Future())
        self._line.put(question)
        if self._is_closed:
            raise CancelledError
        return question.answer.result()

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        for worker in list(self._workers):
            worker.stop()
        try:
            while True:
                if (question := self._line.get_nowait()) is not None:
                    question.answer.cancel()
        except Empty:
            self._threads.shutdown(cancel_futures=True)
