"""A graph from the command line: a file with a request, a graph or source text; or text itself."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from service.commands._local import read_input

File = Annotated[
    str, typer.Argument(help="A request, a graph as JSON, or source text; - is standard input.")
]
Text = Annotated[
    str | None, typer.Option("--expression", "-e", help="Source text, in place of a file.")
]
Values = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", help="A value for an input, as NAME=JSON; may be repeated."),
]


def request_from(file: str, expression: str | None, values: list[str] | None) -> dict[str, Any]:
    """The request that a file or an expression stands for, with the values put in."""
    if expression is not None:
        request: dict[str, Any] = {"graph": {"expression": expression}}
    else:
        request = _read(read_input(file))
    inputs = dict(request.get("inputs") or {})
    for given in values or ():
        name, separator, text = given.partition("=")
        if not separator:
            raise typer.BadParameter(f"'{given}' is not of the form NAME=VALUE")
        try:
            inputs[name.strip()] = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise typer.BadParameter(f"the value of '{name}' is not JSON") from None
    if inputs:
        request["inputs"] = inputs
    return request


def _read(content: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        if content.lstrip()[:1] in (b"{", b"["):
            from service.settings import get_settings
            from service.wire.json_text import strict_json

            return {"graph": strict_json(content, get_settings().max_json_depth)}
        return {"graph": {"expression": content.decode("utf-8", "replace")}}
    if isinstance(document, dict) and "graph" in document:
        return document
    return {"graph": document}
