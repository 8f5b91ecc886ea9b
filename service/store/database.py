"""The store in a database: SQLite for one machine, PostgreSQL for several replicas."""

from __future__ import annotations

import base64
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from threading import Lock
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Delete,
    Engine,
    Select,
    and_,
    create_engine,
    delete,
    event,
    exc,
    make_url,
    or_,
    select,
    text,
)
from sqlalchemy.pool import QueuePool

from service.store.canonical import content_id
from service.store.database_file import LOG_PAGES, DatabaseFile
from service.store.folder import TaskFolder
from service.store.migrate import upgrade
from service.store.model import (
    GraphEntry,
    NameTaken,
    Page,
    StoredGraph,
    StoreFull,
    StoreUnavailable,
    TaskEntry,
    is_id,
    is_name,
)
from service.store.tables import GRAPHS, NAMES, TASKS

MAX_PAGE = 1000
BUSY_SECONDS = 5.0
"""How long a writer waits for its turn, and a caller for a connection."""


class DatabaseStore:
    """A `Store`. The first use brings the tables up to date; until that works, and
    whenever the database is away, every method raises StoreUnavailable.

    `max_bytes` bounds an SQLite database; `folder` holds read-only tasks.
    """

    def __init__(
        self, url: str, *, folder: TaskFolder | None = None, max_bytes: int | None = None
    ) -> None:
        self._engine = _engine(make_url(url), max_bytes)
        path = self._engine.url.database if self._engine.dialect.name == "sqlite" else None
        self._file = DatabaseFile(path) if path and path != ":memory:" else None
        self._folder = folder
        self._ready = False
        self._preparing = Lock()
        # Each dialect is a third of SQLAlchemy to load: only the one that is used.
        dialect = import_module(f"sqlalchemy.dialects.{self._engine.dialect.name}")
        self._insert: Any = dialect.insert

    # Graphs.

    def put_graph(self, text: str, name: str | None = None, *, may_move: bool = True) -> GraphEntry:
        """See `Store.put_graph`."""
        if name is not None and not is_name(name):
            raise ValueError("not a name of a graph")
        graph_id = content_id(text)
        row = {"id": graph_id, "document": text, "created_at": time.time_ns() // 1000}
        # An update that changes nothing, rather than none at all: it holds the row, so that
        # nobody deletes the graph before its name is there.
        keep = self._insert(GRAPHS).on_conflict_do_update(
            index_elements=[GRAPHS.c.id], set_={"id": graph_id}
        )
        with self._writing() as connection:
            connection.execute(keep, row)
            if name is not None:
                point = (
                    self._insert(NAMES)
                    .on_conflict_do_update(
                        index_elements=[NAMES.c.name],
                        set_={"graph": graph_id},
                        where=None if may_move else NAMES.c.graph == graph_id,
                    )
                    .returning(NAMES.c.name)
                )
                if connection.execute(point, {"name": name, "graph": graph_id}).first() is None:
                    raise NameTaken
            return self._entries(connection, [graph_id])[0]

    def get_graph(self, reference: str) -> str | None:
        """See `Store.get_graph`."""
        if not _is_reference(reference):
            return None
        with self._reading() as connection:
            found = connection.execute(_by_reference(select(GRAPHS.c.document), reference))
            return found.scalar()

    def find_graph(self, reference: str) -> StoredGraph | None:
        """See `Store.find_graph`."""
        if not _is_reference(reference):
            return None
        with self._reading() as connection:
            columns = select(GRAPHS.c.id, GRAPHS.c.document)
            row = connection.execute(_by_reference(columns, reference)).first()
            if row is None:
                return None
            entries = self._entries(connection, [row.id])
        return StoredGraph(entries[0], row.document) if entries else None

    def list_graphs(self, limit: int = 100, cursor: str | None = None) -> Page[GraphEntry]:
        """See `Store.list_graphs`."""
        limit = max(1, min(limit, MAX_PAGE))
        query = select(GRAPHS.c.id, GRAPHS.c.created_at)
        if cursor is not None:
            age, graph_id = _after(cursor, 2)
            if not age.isdecimal() or len(age) > 18:
                raise ValueError("not a cursor")
            later = GRAPHS.c.created_at > int(age)
            same = and_(GRAPHS.c.created_at == int(age), GRAPHS.c.id > graph_id)
            query = query.where(or_(later, same))
        query = query.order_by(GRAPHS.c.created_at, GRAPHS.c.id).limit(limit + 1)
        with self._reading() as connection:
            rows = connection.execute(query).all()
            items = self._entries(connection, [row.id for row in rows[:limit]])
        more = None
        if len(rows) > limit:
            last = rows[limit - 1]
            more = _cursor(str(last.created_at), last.id)
        return Page(tuple(items), more)

    def delete_graph(self, reference: str) -> bool:
        """See `Store.delete_graph`."""
        if not _is_reference(reference):
            return False
        if is_id(reference):
            statement = delete(GRAPHS).where(GRAPHS.c.id == reference)
        else:
            statement = delete(NAMES).where(NAMES.c.name == reference)
        return self._delete(statement)

    def _entries(self, connection: Connection, ids: Sequence[str]) -> list[GraphEntry]:
        """The entries of those graphs that are there, oldest first."""
        query = (
            select(GRAPHS.c.id, GRAPHS.c.created_at, NAMES.c.name)
            .outerjoin(NAMES, NAMES.c.graph == GRAPHS.c.id)
            .where(GRAPHS.c.id.in_(ids))
            .order_by(GRAPHS.c.created_at, GRAPHS.c.id, NAMES.c.name)
        )
        rows: dict[str, list[Any]] = {}
        for row in connection.execute(query):
            rows.setdefault(row.id, []).append(row)
        return [
            GraphEntry(
                graph_id,
                tuple(sorted(row.name for row in of_one if row.name is not None)),
                datetime.fromtimestamp(of_one[0].created_at // 1_000_000, UTC).replace(
                    microsecond=of_one[0].created_at % 1_000_000
                ),
            )
            for graph_id, of_one in rows.items()
        ]

    # Tasks.

    def put_task(self, task_id: str, document: str) -> None:
        """See `Store.put_task`."""
        self._not_mounted(task_id)
        if not _is_reference(task_id):
            raise ValueError("not an id of a task")
        upsert = self._insert(TASKS).on_conflict_do_update(
            index_elements=[TASKS.c.id], set_={"document": document}
        )
        with self._writing() as connection:
            connection.execute(upsert, {"id": task_id, "document": document})

    def get_task(self, task_id: str) -> str | None:
        """See `Store.get_task`. The mounted folder comes first."""
        mounted = None if self._folder is None else self._folder.get(task_id)
        if mounted is not None:
            return mounted
        if not _is_reference(task_id):
            return None
        with self._reading() as connection:
            query = select(TASKS.c.document).where(TASKS.c.id == task_id)
            return connection.execute(query).scalar()

    def list_tasks(self, limit: int = 100, cursor: str | None = None) -> Page[TaskEntry]:
        """See `Store.list_tasks`."""
        limit = max(1, min(limit, MAX_PAGE))
        (after,) = ("",) if cursor is None else _after(cursor, 1)
        mounted = [] if self._folder is None else self._folder.ids()
        query = select(TASKS.c.id).where(TASKS.c.id > after).order_by(TASKS.c.id)
        with self._reading() as connection:
            kept = connection.execute(query.limit(limit + 1)).scalars().all()
        # Compared in Python too: a database may sort text by the rules of a language.
        entries = {task_id: TaskEntry(task_id) for task_id in kept}
        entries |= {t: TaskEntry(t, read_only=True) for t in mounted if t > after}
        ordered = [entries[task_id] for task_id in sorted(entries)]
        more = _cursor(ordered[limit - 1].id) if len(ordered) > limit else None
        return Page(tuple(ordered[:limit]), more)

    def delete_task(self, task_id: str) -> bool:
        """See `Store.delete_task`."""
        self._not_mounted(task_id)
        if not _is_reference(task_id):
            return False
        return self._delete(delete(TASKS).where(TASKS.c.id == task_id))

    def _delete(self, statement: Delete) -> bool:
        """Whether a row was deleted; on a full disk the file's reserve makes room for that."""
        try:
            with self._writing() as connection:
                return bool(connection.execute(statement).rowcount)
        except StoreFull:
            if self._file is None or not self._file.release_reserve():
                raise
        with self._writing() as connection:
            deleted = bool(connection.execute(statement).rowcount)
        with suppress(exc.DBAPIError), self._engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        self._file.keep_reserve()
        return deleted

    def _not_mounted(self, task_id: str) -> None:
        if self._folder is not None and task_id in self._folder:
            raise PermissionError(f"the task '{task_id}' is mounted read-only")

    # Connections.

    def ping(self) -> bool:
        """See `Store.ping`."""
        try:
            with self._reading() as connection:
                connection.execute(text("SELECT 1"))
        except StoreUnavailable:
            return False
        return True

    def intact(self) -> bool:
        """See `Store.intact`."""
        if self._file is None or not self._ready:
            return True
        try:
            self._file.check_tables((GRAPHS.name, NAMES.name, TASKS.name))
        except StoreUnavailable:
            return False
        return True

    def close(self) -> None:
        """See `Store.close`. A later call would connect again."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _translated():
            self._prepare()
            with self._engine.connect() as connection:
                yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with _translated():
            self._prepare()
            with self._engine.begin() as connection:
                if self._engine.dialect.name == "sqlite":
                    # Wait for the right to write here, where the wait is bounded, and not
                    # at the first statement after a read, where SQLite gives up at once.
                    connection.execute(text("BEGIN IMMEDIATE"))
                yield connection

    def _prepare(self) -> None:
        if self._ready and self._file is not None:
            self._file.check()
            if self._file.replaced():
                self._engine.dispose()
                self._ready = False
        if self._ready:
            return
        with self._preparing:
            if not self._ready:
                upgrade(self._engine)
                if self._file is not None:
                    self._file.remember()
                self._ready = True


def _is_reference(text: str) -> bool:
    """Whether a row can have this id or name: nothing else is put before a database."""
    return is_id(text) or is_name(text)


def _by_reference(query: Select[Any], reference: str) -> Select[Any]:
    """`query` for the one graph with this id or name."""
    if is_id(reference):
        return query.where(GRAPHS.c.id == reference)
    return query.join(NAMES, NAMES.c.graph == GRAPHS.c.id).where(NAMES.c.name == reference)


@contextmanager
def _translated() -> Iterator[None]:
    """Database errors as StoreFull or StoreUnavailable; a fault of a statement stays one."""
    try:
        yield
    except exc.TimeoutError as error:
        raise StoreUnavailable("all connections to the database are busy") from error
    except exc.IntegrityError:
        raise
    except exc.DBAPIError as error:
        cause = error.orig
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        # PostgreSQL's class 53 is "insufficient resources"; 53100 is a full disk.
        if code == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", None) == "53100":
            raise StoreFull from error
        raise StoreUnavailable from error
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable from error


def _engine(url: URL, max_bytes: int | None) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_timeout=BUSY_SECONDS,
            connect_args={
                "connect_timeout": 3,
                "application_name": "gradient-service",
                "options": "-c statement_timeout=10s -c lock_timeout=5s",
            },
        )
    in_memory = url.database in (None, "", ":memory:")
    engine = create_engine(
        url,
        poolclass=QueuePool,
        # One connection is the database that lives in memory.
        pool_size=1 if in_memory else 5,
        max_overflow=0 if in_memory else 10,
        pool_timeout=BUSY_SECONDS,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", lambda raw, _: _set_up_sqlite(raw, max_bytes))
    return engine


def _set_up_sqlite(raw: sqlite3.Connection, max_bytes: int | None) -> None:
    """Transactions begin where we say so; write-ahead log; foreign keys; a bound on size."""
    raw.isolation_level = None
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    if max_bytes is not None:
        (page,) = raw.execute("PRAGMA page_size").fetchone()
        raw.execute(f"PRAGMA max_page_count = {max(16, max_bytes // page)}")
    patience = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # Changing to WAL doesn't wait for its turn as other statements do.
            if "locked" not in str(error) or time.monotonic() > patience:
                raise
            time.sleep(0.02)


def _cursor(*parts: str) -> str:
    """An opaque place in a list."""
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


def _after(cursor: str, count: int) -> list[str]:
    """The parts of a cursor that `_cursor` made; ValueError for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = base64.urlsafe_b64decode(padded.encode("ascii")).decode().split("\n")
    except ValueError:
        raise ValueError("not a cursor") from None
    if len(parts) != count or "\0" in cursor or any("\0" in part for part in parts):
        raise ValueError("not a cursor")
    return parts
