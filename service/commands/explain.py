"""`gradient-service explain`: both passes of a graph, for reading."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from service.commands._graphs import File, Text, Values, request_from
from service.commands._local import answer, write_output


class Format(StrEnum):
    """What of the explanation is written."""

    text = "text"
    code = "code"
    latex = "latex"
    json = "json"


def command(
    file: File = "-",
    expression: Text = None,
    values: Values = None,
    format: Annotated[
        Format, typer.Option(help="Sentences; the staged code; formulas; or the API's JSON.")
    ] = Format.text,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else standard output.")
    ] = None,
) -> None:
    """Explain the forward and the backward pass of a graph, step by step, with staged code."""
    request = request_from(file, expression, values)
    made = answer("/v1/explain", orjson.dumps(request))
    if format is not Format.json:
        explained = orjson.loads(made)
        text = explained.get(format.value, "") if format is not Format.text else _told(explained)
        made = (text.rstrip("\n") + "\n").encode()
    write_output(made, output)


def _told(explained: dict[str, Any]) -> str:
    return "\n".join(_lines(explained))


def _lines(explained: dict[str, Any]) -> Iterator[str]:
    """The steps as numbered sentences, then the code."""
    yield "Forward"
    for step in explained["forward"]:
        yield f"{step['step']:>3}. {step['sentence']}"
    yield ""
    yield "Backward"
    for step in explained["backward"]:
        yield f"{step['step']:>3}. {step['node']}: {step['sentence']}"
        for edge in step["edges"]:
            for said in (edge.get("accumulation"), edge.get("dimensions")):
                if said:
                    yield f"     {said}"
    if "note" in explained:
        yield f"\n{explained['note']}"
    for warning in explained.get("warnings", ()):
        yield f"warning: {warning['detail']}"
    yield ""
    yield explained.get("code", "")
