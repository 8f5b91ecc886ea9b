"""Running a function over blocks: results in order, none lost and none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Shared = TypeVar("Shared")
Block = TypeVar("Block")
Result = TypeVar("Result")
Function = Callable[[Any, Any], Any]
"""`function(shared, block)`: a module's function, so that other processes can find it."""

ATTEMPTS = 4
"""How often a block is run before it is held to be what brings its workers down."""


class BlockLost(RuntimeError):
    """A block whose worker went away every time that it was run."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The outcome of a block whose worker went away."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """The outcome of a block that was computed."""

    result: Result


@dataclass(frozen=True, slots=True)
class Failed:
    """The outcome of a block whose function raised."""

    error: BaseException


Outcome = Lost | Done[Any] | Failed


class Pool(Protocol):
    """Workers that run one function over blocks."""

    def open(self, function: Function, shared: Any) -> AbstractContextManager[Running]:
        """Start the workers, and give them the function and what all blocks share."""
        ...


class Running(Protocol):
    """A pool at work."""

    @property
    def width(self) -> int:
        """How many blocks run at a time, now."""
        ...

    def submit(self, index: int, block: Any) -> None:
        """Run a block; its outcome comes from `wait` under this index."""
        ...

    def wait(self) -> Iterable[tuple[int, Outcome]]:
        """Block until at least one outcome is there, and give those that are."""
        ...


@dataclass(slots=True)
class Report:
    """What `run_blocks` counts while it goes."""

    blocks: int = 0
    run_again: int = 0


def run_blocks(
    function: Callable[[Shared, Block], Result],
    shared: Shared,
    blocks: Iterable[Block],
    pool: Pool,
    report: Report | None = None,
) -> Iterator[Result]:
    """`function(shared, block)` for every block, in the order of the blocks.

    At most four times as many blocks as run at a time are held in memory. A block whose
    worker goes away is run again; its result comes once. Raises what `function` raises for
    the first block that it raises for, and BlockLost.
    """
    report = report or Report()
    source = enumerate(blocks)
    held: dict[int, tuple[Block, int]] = {}
    ready: dict[int, Done[Result] | Failed] = {}
    wanted = 0
    exhausted = False
    with pool.open(function, shared) as running:
        while True:
            while not exhausted and len(held) < 2 * running.width:
                if len(held) + len(ready) >= 4 * running.width:
                    break
                try:
                    index, block = next(source)
                except StopIteration:
                    exhausted = True
                    break
                held[index] = block, 1
                running.submit(index, block)
            if not held:
                return
            for index, outcome in running.wait():
                block, attempt = held[index]
                if isinstance(outcome, Lost):
                    if attempt == ATTEMPTS:
                        raise BlockLost(
                            f"block {index} was lost {attempt} times, last: {outcome.reason}"
                        )
                    report.run_again += 1
                    held[index] = block, attempt + 1
                    running.submit(index, block)
                else:
                    del held[index]
                    ready[index] = outcome
            while wanted in ready:
                found = ready.pop(wanted)
                if isinstance(found, Failed):
                    raise found.error
                report.blocks += 1
                wanted += 1
                yield found.result
