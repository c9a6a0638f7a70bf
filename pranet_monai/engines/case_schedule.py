# SPDX-License-Identifier: Apache-2.0
"""Which case is done when: one after the other here, or around the network in processes beside this one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from queue import SimpleQueue
from threading import Lock, Thread
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
            crew.start()
            for number in range(len(self) + workers):
                if number < len(self):
                    crew.submit(number)
                if number >= workers:  # one more is submitted than there are workers, so that none has to wait
                    yield crew.result(number - workers)


class _Question(NamedTuple):
    """An image that waits for the network's answer."""

    image: torch.Tensor
    answers: SimpleQueue[dict[str, Any] | Exception]


class _Ended(NamedTuple):
    """A case, and what became of it."""

    number: int
    result: CaseResult | Exception


class _Workers:
    """Workers, a thread here for each, and one queue for the network.

    A signal may raise anything anywhere in the main thread, also when it has just taken something out of a queue or a
    lock. So no thread waits for it but at queues into which :meth:`__exit__` puts something, nobody waits for the
    threads, and the locks and queues are those that Python has in C.

    Args:
        runner: does the cases.
        dataset: the cases.
        size: number of workers.
    """

    def __init__(self, runner: CaseRunner, dataset: CaseDataset, size: int) -> None:
        self._runner = runner
        self._dataset = dataset
        self._numbers: SimpleQueue[int | None] = SimpleQueue()  # of the cases to do; None: there are no more
        self._line: SimpleQueue[_Question | _Ended] = SimpleQueue()
        self._answers: list[SimpleQueue[dict[str, Any] | Exception]] = [SimpleQueue() for _ in range(size)]
        self._ended: dict[int, CaseResult | Exception] = {}
        self._workers: list[CaseWorker] = []
        self._is_closed = False
        self._hiring = Lock()  # a process forked meanwhile would keep the pipe of this one open when this one dies

    def start(self) -> None:
        """Starts the processes, before there are any threads, and the threads."""
        workers = [self._hired() for _ in self._answers]
        for worker, answers in zip(workers, self._answers):
            Thread(target=self._attend, args=(worker, answers), daemon=True).start()

    def submit(self, number: int) -> None:
        """Has a case done."""
        self._numbers.put(number)

    def result(self, number: int) -> CaseResult:
        """Runs the network for the workers, until a case has ended."""
        while number not in self._ended:
            told = self._line.get()
            if isinstance(told, _Ended):
                self._ended[told.number] = told.result
            else:
                told.answers.put(self._answer(told.image))
            del told
        result = self._ended.pop(number)
        if isinstance(result, Exception):
            raise result
        return result

    def _answer(self, image: torch.Tensor) -> dict[str, Any] | Exception:
        try:
            return self._runner.answer(image)
        except NetworkError as error:  # ends the run, by way of whoever asked
            return error
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one case is a row of the report
            return BadCaseError(reason_of(error))

    def _attend(self, worker: CaseWorker, answers: SimpleQueue[dict[str, Any] | Exception]) -> None:
        """In a thread: has a worker do cases, one after the other."""

        def ask(image: torch.Tensor) -> dict[str, Any] | Exception:
            self._line.put(_Question(image, answers))
            return answers.get()

        result: CaseResult | Exception
        while (number := self._numbers.get()) is not None:
            try:
                worker, result = self._done(number, worker, ask)
            except Exception as error:  # noqa: BLE001 - for the main thread, whatever it is
                result = error
            self._line.put(_Ended(number, result))
            del result

    def _done(
        self, number: int, worker: CaseWorker, ask: Callable[[torch.Tensor], dict[str, Any] | Exception]
    ) -> tuple[CaseWorker, CaseResult | Exception]:
        """What a worker makes of a case, or a second one if the first dies; and who does the next one."""
        for _ in range(_ATTEMPTS):
            try:
                return worker, worker.do(number, ask)
            except WorkerDiedError as error:
                ending, worker = str(error), self._hired(instead_of=worker)
            except Exception as error:  # noqa: BLE001 - for the main thread, whatever it is
                return worker, error
        fix = "make sure that there is memory for it; --set workers=0 does without such processes"
        reason = f"the process that worked on it {ending}, {_ATTEMPTS} times; fix: {fix}"
        return worker, CaseResult(self._dataset.data[number][CASE], "failed", reason)

    def _hired(self, instead_of: CaseWorker | None = None) -> CaseWorker:
        with self._hiring:
            if self._is_closed:
                raise CancelledError
            if instead_of is not None:
                self._workers.remove(instead_of)
                CaseWorker.stop([instead_of])
            self._workers.append(CaseWorker(self._runner, self._dataset))
            return self._workers[-1]

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed = True
        with self._hiring:
            CaseWorker.stop(self._workers)
        for answers in self._answers:
            answers.put(CancelledError())
            self._numbers.put(None)
