"""`gradient-service diagram`: the circuit of a graph."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer

from service.commands._graphs import File, Text, Values, request_from
from service.commands._local import answer, write_output


class Format(StrEnum):
    """The forms that a circuit is written in."""

    svg = "svg"
    dot = "dot"
    mermaid = "mermaid"
    node_link = "node-link"


_SUFFIXES = {".svg": Format.svg, ".dot": Format.dot, ".gv": Format.dot, ".mmd": Format.mermaid}


def command(
    file: File = "-",
    expression: Text = None,
    values: Values = None,
    format: Annotated[
        Format | None, typer.Option(help="Else by the output's suffix, else SVG.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else standard output.")
    ] = None,
    gradients: Annotated[bool, typer.Option(help="Show gradients below the wires.")] = True,
    shapes_only: Annotated[
        bool, typer.Option("--no-values", help="Draw the structure alone; no values needed.")
    ] = False,
) -> None:
    """Draw the circuit of a graph, with values above and gradients below its wires."""
    request = request_from(file, expression, values)
    suffix = output.suffix.lower() if output is not None else ""
    chosen = format or _SUFFIXES.get(suffix) or (Format.node_link if suffix == ".json" else None)
    request["format"] = (chosen or Format.svg).value
    request.setdefault("gradients", gradients)
    request.setdefault("values", not shapes_only)
    write_output(answer("/v1/diagram", orjson.dumps(request)), output)
