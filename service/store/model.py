"""What a store is, without saying how it is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from service.codes import Refusal

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""Names of graphs and ids of tasks. No colon: a name never looks like an id."""
ID_PATTERN = r"^sha256:[0-9a-f]{64}$"

_is_name = re.compile(NAME_PATTERN + r"\Z").match
_is_id = re.compile(ID_PATTERN + r"\Z").match


def is_name(text: str) -> bool:
    """Whether `text` can be the name of a graph."""
    return _is_name(text) is not None


def is_id(text: str) -> bool:
    """Whether `text` has the form of a graph's id."""
    return _is_id(text) is not None


class NameTaken(Refusal):
    """The name points at another graph, and whoever asked may not move it. 403."""

    def __init__(self) -> None:
        super().__init__(
            "forbidden", "the name points at another graph, and this key may not move it"
        )


class StoreUnavailable(Refusal):
    """The database can't be reached, or doesn't answer in time. 503; it may recover."""

    def __init__(self, detail: str = "the database does not answer now") -> None:
        super().__init__("store_unavailable", detail, headers=(("retry-after", "1"),))


class StoreFull(Refusal):
    """There is no room for another row. 507; reading goes on."""

    def __init__(self, detail: str = "the store has no room for more") -> None:
        super().__init__("store_full", detail)


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """A registered graph without its text. `names` is sorted."""

    id: str
    names: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredGraph:
    """A registered graph: `text` is the canonical JSON that `entry.id` is the hash of."""

    entry: GraphEntry
    text: str


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A task without its document. `read_only`: it comes from the mounted folder."""

    id: str
    read_only: bool = False


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items in a stable order; `cursor` gets the next ones, None at the end."""

    items: tuple[Item, ...]
    cursor: str | None


class Store(Protocol):
    """Graphs by the hash of their text, names that point at them, and tasks by id.

    All methods are thread-safe and block: call them off the event loop. Any of them
    raises StoreUnavailable; those that write raise StoreFull.
    """

    def put_graph(self, text: str, name: str | None = None, *, may_move: bool = True) -> GraphEntry:
        """Keep canonical JSON under its id, and let `name` point at it from now on.

        Idempotent, and atomic: afterwards both the graph and the name are there, or neither.
        ValueError for what can't be a name. NameTaken when it points at another graph and
        may not be moved.
        """
        ...

    def get_graph(self, reference: str) -> str | None:
        """The canonical JSON of the graph with this id or name; None if there is none."""
        ...

    def find_graph(self, reference: str) -> StoredGraph | None:
        """The graph with this id or name and what is known about it."""
        ...

    def list_graphs(self, limit: int = 100, cursor: str | None = None) -> Page[GraphEntry]:
        """Graphs in the order in which they were registered. ValueError for a bad cursor."""
        ...

    def delete_graph(self, reference: str) -> bool:
        """Take away a name, or a graph with all its names; False if it wasn't there."""
        ...

    def put_task(self, task_id: str, document: str) -> None:
        """Keep a task's JSON under its id, in place of what was there.

        An id is what a graph's name may be, or `sha256:` and a digest; ValueError for
        anything else. PermissionError when the id belongs to the mounted folder.
        """
        ...

    def get_task(self, task_id: str) -> str | None:
        """The JSON of the task with this id; None if there is none."""
        ...

    def list_tasks(self, limit: int = 100, cursor: str | None = None) -> Page[TaskEntry]:
        """Tasks in the order of their ids. ValueError for a bad cursor."""
        ...

    def delete_task(self, task_id: str) -> bool:
        """Take a task away; PermissionError when it belongs to the mounted folder."""
        ...

    def ping(self) -> bool:
        """Whether the store answers now."""
        ...

    def intact(self) -> bool:
        """False when the file that holds the store is gone or damaged."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
