# SPDX-License-Identifier: Apache-2.0
"""Cases done by actors on a Ray cluster: a free one gets the next case; if an actor dies, its case is retried."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from pranet_monai.engines.case_dataset import CASE
from pranet_monai.errors import UsageError
from pranet_monai.reports.case_result import CaseResult

__all__ = ["RaySchedule"]

RETRIES = 2
"""Of a case whose worker died, before it is a failed row."""
DEATHS_IN_A_ROW = 10
"""Of each worker on average, without any result, after which the run is given up."""
_STORE_BYTES = 128 << 20  # of a cluster made for the run: results are small
_SILENT_SECONDS = 60.0  # without any worker, after which it is said
_START_SECONDS = 600  # that a process may take before Ray gives it up; a busy machine needs more than the usual minute

Do = Callable[[Mapping[str, Any]], CaseResult]


class RaySchedule:
    """What becomes of the cases, as they end, done by actors on a Ray cluster.

    Takes the place of a bundle's ``dataloader``. Folders must be the same on every machine of the cluster.

    Args:
        cases: items of ``find_cases``.
        build: makes what does a case, given its item; called once in each actor.
        workers: number of actors. Default: one per GPU of the cluster, without GPUs one per two CPUs.
        address: of the cluster, as in ``ray.init``; "local" makes one on this machine that ends with the run.
        gpus: whether actors want a part of a GPU where the cluster has any.
    """

    def __init__(
        self,
        cases: Sequence[Mapping[str, Any]],
        build: Callable[[], Do],
        workers: int | None = None,
        address: str = "local",
        gpus: bool = True,
    ) -> None:
        self.cases = cases
        self.build = build
        self.workers = workers
        self.address = address
        self.gpus = gpus

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[CaseResult]:
        with _cluster(self.address) as ray:
            yield from self._results(ray)

    def _results(self, ray: Any) -> Iterator[CaseResult]:
        workers, share = self._shares([node["Resources"] for node in ray.nodes() if node["Alive"]])
        make = ray.remote(**share)(_Actor).remote
        waiting, left, deaths = deque(range(len(self))), len(self), _WorkerDeaths(workers)
        # Ray's memory monitor has errors of its own, which are no RayActorError
        deadly = ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError, ray.exceptions.ObjectLostError
        # an actor that isn't referred to any more ends, so that the last of these ends all
        running: dict[Any, tuple[Any, int | None]] = {}
        idle: deque[Any] = deque()

        def start() -> None:
            actor = make(self.build)
            running[actor.ready.remote()] = (actor, None)

        for _ in range(workers):
            start()
        while left:
            found, _ = ray.wait(list(running), num_returns=1, timeout=_SILENT_SECONDS)
            if not found:
                _say_if_none_works(running, share)
                continue
            (reference,) = found
            actor, number = running.pop(reference)
            result: CaseResult | None
            try:
                result = ray.get(reference)
                idle.append(actor)
            except ray.exceptions.RayTaskError as error:  # nothing about a case: a full disk, no weights
                raise error.cause from None
            except deadly as error:
                start()
                result = deaths.count(number, error, self.cases)
                if number is not None and result is None:
                    waiting.appendleft(number)
            if result is not None:
                left -= 1
                yield result
            while waiting and idle:
                actor, following = idle.popleft(), waiting.popleft()
                running[actor.do.remote(self.cases[following])] = (actor, following)
            if number is not None and result is not None and result.status != "failed":
                deaths.in_a_row = 0

    def _shares(self, nodes: Sequence[Mapping[str, float]]) -> tuple[int, dict[str, float]]:
        """How many workers, and what each gets of the cluster: no more than one of its machines has."""
        gpus = int(sum(node.get("GPU", 0) for node in nodes)) if self.gpus else 0
        hosts = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1 and (node.get("GPU") or not gpus)] or [1]
        cpus = sum(hosts)
        workers = min(self.workers or gpus or max(1, cpus // 2), max(1, len(self)))
        # Ray gives a process as many threads as it has CPUs
        share: dict[str, float] = {"num_cpus": min(*hosts, cpus // workers) if cpus >= workers else cpus / workers}
        if gpus:
            share["num_gpus"] = 1 if gpus >= workers else gpus / workers
        return workers, share


def _say_if_none_works(running: Mapping[Any, tuple[Any, int | None]], share: Mapping[str, float]) -> None:
    """Tells on stderr that all workers are still waited for."""
    if all(number is None for _, number in running.values()):
        wanted = " and ".join(f"{number:g} {name.removeprefix('num_').upper()[:-1]}" for name, number in share.items())
        print(
            f"workers: none has started for {_SILENT_SECONDS:g} s, still waiting; each wants {wanted} of one machine; "
            "fix: see that no other job of the cluster holds them",
            file=sys.stderr,
        )


class _Actor:
    """A process with a network of its own."""

    def __init__(self, build: Callable[[], Do]) -> None:
        self._do: Do | Exception
        try:
            self._do = build()
        except Exception as error:  # noqa: BLE001 - for the process that asks whether it is ready
            self._do = error

    def ready(self) -> None:
        """Answers as soon as the network is loaded, or says why it can't be."""
        if isinstance(self._do, Exception):
            raise self._do

    def do(self, case: Mapping[str, Any]) -> CaseResult:
        """Does a case."""
        self.ready()
        return self._do(case)  # type: ignore[operator]


class _WorkerDeaths:
    """How often workers have died: over the same case, and without a good case between.

    Args:
        workers: how many there are.
    """

    def __init__(self, workers: int) -> None:
        self.in_a_row = 0
        self._of_case: Counter[int] = Counter()
        self._allowed = DEATHS_IN_A_ROW * workers

    def count(self, number: int | None, error: Exception, cases: Sequence[Mapping[str, Any]]) -> CaseResult | None:
        """One more; gives a failed row where it was one too many for its case.

        Raises:
            UsageError: they keep dying.
        """
        self.in_a_row += 1
        why = " ".join(str(error).split())[:300]
        if self.in_a_row > self._allowed:
            raise UsageError(
                f"workers: these processes died {self.in_a_row} times without a good case between ({why}); fix: see "
                "that there is memory for so many networks, or give fewer --workers"
            )
        if number is None:
            return None
        self._of_case[number] += 1
        if self._of_case[number] <= RETRIES:
            return None
        reason = f"its worker died {self._of_case[number]} times ({why}); fix: make sure that there is memory for it"
        return CaseResult(cases[number][CASE], "failed", reason)


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """The ray module, connected; a cluster that was made for it ends with the block."""
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise UsageError("engine ray: found no ray; fix: pip install 'pranet-monai[ray]'") from error
    if ray.is_initialized():  # by the program that this is a part of
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing about a run leaves the cluster
    own = {"include_dashboard": False, "object_store_memory": _STORE_BYTES, "_node_ip_address": "127.0.0.1"}
    own["_system_config"] = {"worker_register_timeout_seconds": _START_SECONDS}
    try:
        with _signals_as_before():
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **(own if address == "local" else {}))
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"--address {address}: found no Ray cluster there ({' '.join(str(error).split())[:200]}); allowed: local, "
            "auto on a machine of a cluster, host:port, ray://host:port"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """Ctrl-C and SIGTERM come to whom they came before: Ray's own answer to SIGTERM is to abort the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
