"""Source text as a graph."""

from __future__ import annotations

from dataclasses import replace

from service.engine.control import Limits
from service.engine.errors import GraphError
from service.engine.expression import parse_expression
from service.engine.graph import Graph, resolve


def read_expression(source: str, output: str | list[str] | None, limits: Limits) -> Graph:
    """The resolved graph of source text; its faults point at the text."""
    try:
        spec = parse_expression(source, limits)
        if output is not None:
            spec.output = output
        return resolve(spec, limits)
    except GraphError as error:
        raise GraphError(
            fault if fault.pointer == "/output" else replace(fault, pointer="/expression")
            for fault in error.faults
        ) from None
