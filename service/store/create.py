"""From the settings to a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import make_url

from service.store.database import DatabaseStore
from service.store.folder import TaskFolder

if TYPE_CHECKING:
    from service.settings import Settings

_SHARED_FILE = "store.sqlite"


def create_store(settings: Settings) -> DatabaseStore:
    """The store at `settings.database_url`; no connection is made yet.

    Without a URL, or with `sqlite://`, graphs live in memory. Where several workers of
    one `serve` share a folder for their counters, they then share a file there, so that
    each sees what the others registered. ValueError for a URL that can't be read.
    """
    given = settings.database_url.get_secret_value()
    url = database_url(given)
    in_memory = url.startswith("sqlite") and make_url(url).database in (None, "", ":memory:")
    if in_memory and settings.state_dir is not None:
        url = f"sqlite:///{settings.state_dir / _SHARED_FILE}"
    folder = None if settings.tasks_dir is None else TaskFolder(settings.tasks_dir)
    return DatabaseStore(url, folder=folder, max_bytes=settings.store_max_bytes)


def database_url(given: str) -> str:
    """`given` as SQLAlchemy wants it: platforms write `postgres://` and name no driver.

    Raises ValueError for other databases than SQLite and PostgreSQL, without repeating
    the URL, which may hold a password.
    """
    if not given:
        return "sqlite://"
    scheme, found, rest = given.partition("://")
    if scheme in {"postgres", "postgresql", "postgresql+psycopg"} and found:
        return f"postgresql+psycopg://{rest}"
    if scheme in {"sqlite", "sqlite+pysqlite"} and found:
        return given
    raise ValueError("the database URL must begin with sqlite:// or postgresql://")
