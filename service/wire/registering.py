"""Registered graphs and tasks as JSON."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel, Field

from service.store.canonical import NotCanonical, canonical_json
from service.store.model import NAME_PATTERN
from service.wire.requests import GraphRequest

_NEGATIVE_ZERO = re.compile(rb"[\[,:\s]-0[\],}\s]")


class RegisterRequest(GraphRequest):
    """A graph to be kept under the hash of its content."""

    name: str | None = Field(
        None, description=f"A name that points at the graph from now on: `{NAME_PATTERN}`."
    )


class GraphEntry(BaseModel):
    """A registered graph without its content."""

    id: str = Field(description="`sha256:` and the digest of the graph's canonical JSON.")
    names: list[str] = Field(description="The names that point at it now.")
    created_at: datetime


class RegisteredGraph(GraphEntry):
    """A registered graph."""

    graph: dict[str, Any] = Field(description="The graph as it was registered, in canonical form.")


class GraphPage(BaseModel):
    """Registered graphs in the order of their registration."""

    graphs: list[GraphEntry]
    next: str | None = Field(description="The `cursor` for the next page; null at the end.")


class TaskEntry(BaseModel):
    """A grading task without its content."""

    id: str
    read_only: bool = Field(description="It lies in a mounted folder and can't be changed here.")


class TaskPage(BaseModel):
    """Tasks in the order of their ids."""

    tasks: list[TaskEntry]
    next: str | None = Field(description="The `cursor` for the next page; null at the end.")


def canonical_text(text: bytes) -> str:
    """The canonical JSON of a JSON text that has been read before, and so is well formed.

    Raises NotCanonical.
    """
    if _NEGATIVE_ZERO.search(text):
        # Readers of graphs take `-0` as the float it is; most JSON readers make it 0.
        import json

        def integer(digits: str) -> int | float:
            return -0.0 if digits == "-0" else int(digits)

        return canonical_json(json.loads(text, parse_int=integer))
    try:
        return canonical_json(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise NotCanonical("nested too deeply") from error
