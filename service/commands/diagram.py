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


_SUFFIXES = {
    ".svg": Format.svg,
    ".dot": Format.dot,
    ".gv": Format.dot,
    ".mmd": Format.mermaid,
    ".json": Format.node_link,
}


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
    suffix = output.suffix.lower() if output is not None else ""
    chosen = format or _SUFFIXES.get(suffix)
    if chosen is None and suffix not in ("", ".png"):
        known = ", ".join([*_SUFFIXES, ".png"])
        raise typer.BadParameter(f"what {suffix} holds isn't known: {known}, or say --format")
    request = request_from(file, expression, values)
    request["format"] = (chosen or Format.svg).value
    request.setdefault("gradients", gradients)
    request.setdefault("values", not shapes_only)
    drawn = answer("/v1/diagram", orjson.dumps(request))
    write_output(_png(drawn) if chosen is None and suffix == ".png" else drawn, output)


def _png(svg: bytes) -> bytes:
    """The picture in pixels, twice as fine."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise typer.BadParameter(
            "PNG wants the extra: pip install 'gradient-service[png]'; or write .svg"
        ) from None
    return bytes(svg_to_bytes(svg_string=svg.decode(), zoom=2, background="white"))
