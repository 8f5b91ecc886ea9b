"""Registered graphs and tasks, kept in a database.

Store            what the routes and the grader use
create_store     the store that the settings ask for
canonical_json   the text that a graph's id is the hash of
"""

from service.store.canonical import canonical_json, content_id
from service.store.create import create_store
from service.store.model import (
    GraphEntry,
    Page,
    Store,
    StoredGraph,
    StoreFull,
    StoreUnavailable,
    TaskEntry,
)

__all__ = [
    "GraphEntry",
    "Page",
    "Store",
    "StoreFull",
    "StoreUnavailable",
    "StoredGraph",
    "TaskEntry",
    "canonical_json",
    "content_id",
    "create_store",
]
