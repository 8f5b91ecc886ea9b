"""The tables, as the newest migration leaves them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, MetaData, String, Table, Text

METADATA = MetaData()

GRAPHS = Table(
    "graphs",
    METADATA,
    Column("id", String(71), primary_key=True),
    Column("document", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("graphs_by_age", "created_at", "id"),
)
"""`created_at` is in microseconds since 1970: the same in every database."""

NAMES = Table(
    "names",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("graph", String(71), ForeignKey("graphs.id", ondelete="CASCADE"), nullable=False),
    Index("names_by_graph", "graph"),
)

TASKS = Table(
    "tasks",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("document", Text, nullable=False),
)
