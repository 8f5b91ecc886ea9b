"""The piece of source text that an unnamed step of a graph stands for."""

from __future__ import annotations

import ast
import re

from service.engine.errors import GraphError
from service.engine.expression.syntax import tree
from service.engine.graph import Graph

_UNNAMED = re.compile(r"_\d+")
_LONGEST = 40


def pieces(graph: Graph) -> dict[str, str]:
    """The text of every step that has no name of its own, by the step's id.

    Empty for a graph that did not come from source text. Of several steps that begin at one
    place the first computed is the shortest text.
    """
    if graph.text is None or graph.places is None:
        return {}
    source = graph.text.source
    try:
        parsed = tree(source)
    except GraphError:
        return {}
    texts: dict[tuple[int, int], list[str]] = {}
    for node in ast.walk(parsed):
        if isinstance(node, ast.expr) and not isinstance(node, ast.Name | ast.Constant):
            text = ast.get_source_segment(source, node)
            if text:
                texts.setdefault((node.lineno, node.col_offset + 1), []).append(text)
    found: dict[str, str] = {}
    seen: dict[tuple[int, int], int] = {}
    for position in graph.order:
        name, place = graph.ids[position], graph.places[position]
        choices = sorted(texts.get(place, ()), key=len)
        number = seen[place] = seen.get(place, -1) + 1
        if choices and _UNNAMED.fullmatch(name) and not re.search(rf"\b{name}\b", source):
            text = " ".join(choices[min(number, len(choices) - 1)].split())
            found[name] = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return found
