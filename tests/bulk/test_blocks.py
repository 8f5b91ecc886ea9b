"""Blocks in order, whatever the pool does to them."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.bulk.blocks import (
    ATTEMPTS,
    BlockLost,
    Done,
    Failed,
    Function,
    Lost,
    Outcome,
    Pool,
    Report,
    Running,
    run_blocks,
)
from service.bulk.local import Processes, ThisProcess


def add(shared: int, block: int) -> int:
    return shared + block


def refuse(shared: int, block: int) -> int:
    if block == shared:
        raise ValueError(f"block {block}")
    return block


class Unruly:
    """Answers in any order, and loses a share of what it is given."""

    def __init__(self, seed: int, loses: float) -> None:
        self._random = random.Random(seed)
        self._loses = loses
        self.most = 0

    @contextmanager
    def open(self, function: Function, shared: Any) -> Iterator[Running]:
        self._call = lambda block: function(shared, block)
        self._waiting: list[tuple[int, Any]] = []
        self._lost: list[int] = []
        yield self

    @property
    def width(self) -> int:
        return 3

    def submit(self, index: int, block: Any) -> None:
        self._waiting.append((index, block))
        self.most = max(self.most, len(self._waiting))

    def wait(self) -> Iterable[tuple[int, Outcome]]:
        self._random.shuffle(self._waiting)
        count = self._random.randint(1, len(self._waiting))
        taken = [self._waiting.pop() for _ in range(count)]
        for index, block in taken:
            if self._random.random() < self._loses and (
                self._loses == 1 or self._lost.count(index) < ATTEMPTS - 1
            ):
                self._lost.append(index)
                yield index, Lost("gone")
                continue
            try:
                yield index, Done(self._call(block))
            except ValueError as error:
                yield index, Failed(error)


@pytest.mark.parametrize("seed", range(20))
def test_results_come_in_order_and_once(seed: int) -> None:
    pool, report = Unruly(seed, 0.1), Report()
    assert list(run_blocks(add, 10, range(50), pool, report)) == list(range(10, 60))
    assert report.blocks == 50
    assert pool.most <= 4 * pool.width


def test_the_first_error_in_order_is_the_one_raised() -> None:
    results = run_blocks(refuse, 7, range(50), Unruly(1, 0.0))
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="block 7"):
        next(results)


def test_a_block_that_is_lost_every_time_is_given_up() -> None:
    with pytest.raises(BlockLost, match=f"lost {ATTEMPTS} times"):
        list(run_blocks(add, 0, range(3), Unruly(1, 1.0)))


def test_blocks_are_taken_only_as_they_are_needed() -> None:
    blocks = iter(range(1000))
    results = run_blocks(add, 0, blocks, ThisProcess())
    assert next(results) == 0
    assert next(blocks) <= 4


@pytest.mark.parametrize("pool", [ThisProcess(), Processes(2)])
def test_nothing_to_do(pool: Pool) -> None:
    assert list(run_blocks(add, 0, [], pool)) == []


def kill_once(folder: str, block: int) -> int:
    """The worker that first sees block 5 dies of it."""
    trace = Path(folder, "killed")
    if block == 5 and not trace.exists():
        trace.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return block


def kill_always(_: None, block: int) -> int:
    if block == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return block


def test_a_worker_that_dies_costs_nothing_but_time(tmp_path: Path) -> None:
    report = Report()
    results = list(run_blocks(kill_once, str(tmp_path), range(12), Processes(2), report))
    assert results == list(range(12))
    assert report.run_again >= 1


def test_a_block_that_kills_its_workers_is_named() -> None:
    with pytest.raises(BlockLost):
        list(run_blocks(kill_always, None, range(3), Processes(2)))


def test_errors_of_other_processes_arrive_as_they_are() -> None:
    with pytest.raises(ValueError, match="block 2"):
        list(run_blocks(refuse, 2, range(6), Processes(2)))
