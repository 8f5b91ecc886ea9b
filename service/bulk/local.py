"""Pools on this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from service.bulk.blocks import Done, Failed, Function, Lost, Outcome, Running
from service.parent_death import end_with_parent


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ThisProcess:
    """No workers: blocks run here, one after the other."""

    @contextmanager
    def open(self, function: Function, shared: Any) -> Iterator[Running]:
        """See `Pool.open`."""
        yield _Here(function, shared)


class _Here:
    width = 1

    def __init__(self, function: Function, shared: Any) -> None:
        self._function = function
        self._shared = shared
        self._waiting: list[tuple[int, Any]] = []

    def submit(self, index: int, block: Any) -> None:
        self._waiting.append((index, block))

    def wait(self) -> Iterable[tuple[int, Outcome]]:
        index, block = self._waiting.pop(0)
        try:
            return [(index, Done(self._function(self._shared, block)))]
        except Exception as error:
            return [(index, Failed(error))]


class Processes:
    """One process per core, or as many as asked for."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()

    @contextmanager
    def open(self, function: Function, shared: Any) -> Iterator[Running]:
        """See `Pool.open`."""
        running = _Executor(function, shared, self.workers)
        try:
            yield running
        finally:
            running.close()


_function: Function
_shared: Any


def _begin(function: Function, shared: Any) -> None:
    """In a new worker: keep what all blocks need."""
    global _function, _shared
    end_with_parent()
    _function, _shared = function, shared


def _work(block: Any) -> Any:
    return _function(_shared, block)


class _Executor:
    """A ProcessPoolExecutor that is made anew when one of its processes goes away."""

    def __init__(self, function: Function, shared: Any, workers: int) -> None:
        self.width = workers
        self._begin = (function, shared)
        self._futures: dict[Future[Any], int] = {}
        self._executor = self._make()

    def _make(self) -> ProcessPoolExecutor:
        # Spawned, not forked: a fork of a process with threads may hang.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.width, context, _begin, self._begin)

    def submit(self, index: int, block: Any) -> None:
        try:
            future = self._executor.submit(_work, block)
        except BrokenProcessPool:
            # The processes are gone, and with them the other blocks: `wait` says so of each.
            future = Future()
            future.set_exception(BrokenProcessPool("the workers went away"))
        self._futures[future] = index

    def wait(self) -> Iterable[tuple[int, Outcome]]:
        done, _ = wait(self._futures, return_when=FIRST_COMPLETED)
        outcomes = [(self._futures.pop(future), _outcome(future)) for future in done]
        if any(isinstance(outcome, Lost) for _, outcome in outcomes):
            # When one process goes away the executor gives up all that it was to run.
            rest, _ = wait(self._futures)
            outcomes += [(self._futures.pop(future), _outcome(future)) for future in rest]
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = self._make()
        return outcomes

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def _outcome(future: Future[Any]) -> Outcome:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return Lost(str(error))
    if error is not None:
        return Failed(error)
    return Done(future.result())
