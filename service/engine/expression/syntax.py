"""Source text as a syntax tree; and what is said of a text that has none."""

from __future__ import annotations

import ast
import re
import warnings

from service.engine.errors import Fault, GraphError
from service.engine.expression.hints import of_syntax

MAX_LENGTH = 50_000
"""Characters of source text: what Python's parser reads in half a tenth of a second."""
MAX_NESTING = 90
"""Brackets deeper than this are refused: Python's own parser allows about two hundred."""


def tree(source: str) -> ast.Module:
    """The syntax tree; GraphError where there is none."""
    if len(source) > MAX_LENGTH:
        raise refused(
            f"source text of more than {MAX_LENGTH} characters",
            "a loop is unrolled: for i in range(4): …",
        )
    depth, deepest = 0, 0
    for bracket in re.findall(r"[()\[\]]", source):
        depth += 1 if bracket in "([" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING:
        raise refused(f"brackets nested deeper than {MAX_NESTING}", "name the inner parts")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(_outdented(source), mode="exec")
    except SyntaxError as error:
        line, column = error.lineno or 1, max(error.offset or 1, 1)
        detail = f"not Python's syntax: {error.msg[:200]}"
        hint = of_syntax(source, line, column, error.msg)
        raise GraphError(
            [Fault("syntax", detail, pointer="/expression", line=line, column=column, hint=hint)]
        ) from None
    except (ValueError, MemoryError, RecursionError):
        raise refused(
            "source text that Python's parser refuses", "break long or deep expressions into stages"
        ) from None


def refused(what: str, hint: str | None = None) -> GraphError:
    """The refusal of a text as a whole."""
    return GraphError([Fault("syntax", what, pointer="/expression", line=1, column=1, hint=hint)])


def _outdented(source: str) -> str:
    """The text without the indentation that all its lines share, as a pasted function body has."""
    if not source[:1].isspace():
        return source
    lines = source.split("\n")
    margins = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    margin = min(margins, default=0)
    return "\n".join(line[margin:] for line in lines) if margin else source
