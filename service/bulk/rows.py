"""Rows of a file of points: what is computed at, what is only carried along, what is bad."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.engine.run.batch import Reduction


class UnreadablePoints(ValueError):
    """A file of points that can't be read, or results that can't be written; says why."""


@dataclass(frozen=True, slots=True)
class Column:
    """One input at one point: the shape of its values, and "b", "i" or "f" for their kind."""

    shape: tuple[int, ...] = ()
    kind: str = "f"


@dataclass(slots=True)
class Rows:
    """A block of rows.

    `inputs` are arrays of shape (rows, *shape), with any value where a row is bad; `extra`
    the columns that no input reads, one entry a row; `errors` the sentence of a bad row by
    its place in the block.
    """

    size: int
    inputs: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a file are read: the columns that are inputs, and those carried along."""

    inputs: Mapping[str, Column]
    extra: tuple[str, ...] = ()


@dataclass(slots=True)
class Computed:
    """Results at the rows of a block.

    `value` has shape (rows, *output); so have `gradients`, with NaN at bad rows. `sums` are
    gradients of inputs that all rows share, added over the block.
    """

    rows: Rows
    value: Any
    gradients: dict[str, Any]
    sums: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known when all blocks are done: rows, bad ones, and the reduced gradients."""

    rows: int
    bad: int
    reduce: Reduction
    reduced: Mapping[str, Any]


class Source(Protocol):
    """A file of points, read block by block."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, as far as the first rows have them."""
        ...

    @property
    def size(self) -> int | None:
        """The number of rows, where the file says it."""
        ...

    def first(self) -> Any:
        """A few of the first rows, in the form of a block's; reading still begins with them."""
        ...

    def blocks(self, length: int) -> Iterator[Any]:
        """What `Reader.rows` takes, about `length` rows each. Once only."""
        ...


class Reader(Protocol):
    """Reads one format. Its functions are a module's, so that other processes find them."""

    def layout(self, first: Any, names: frozenset[str]) -> Layout:
        """The layout of a file by its first rows, where the inputs `names` are wanted."""
        ...

    def rows(self, block: Any, layout: Layout) -> Rows:
        """The rows of a block."""
        ...
