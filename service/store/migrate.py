"""Bringing a database's tables up to date, with several processes starting at once."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

HEAD = "0001"
"""The newest revision. A database that is there already needs no Alembic to be seen so."""
_REVISIONS = frozenset({"0001"})
_LOCK = 0x67726164  # any number that every process of this service agrees on


def upgrade(engine: Engine) -> None:
    """Run the migrations that `engine`'s database lacks. Raises SQLAlchemy's errors.

    One process at a time: PostgreSQL holds the others at an advisory lock, SQLite at the
    transaction that takes the right to write. A database of a newer release is left as it
    is, so that replicas of two releases can run side by side while a roll-out goes on.
    """
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        else:
            connection.execute(text("BEGIN IMMEDIATE"))
        found = _revision(connection)
        if found == HEAD:
            return
        if found is not None and found not in _REVISIONS:
            logging.getLogger("service.store").warning(
                "the database is of a newer release (revision %s); it is used as it is", found
            )
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)
