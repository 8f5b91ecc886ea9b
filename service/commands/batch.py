"""`gradient-service batch`: values and gradients at many points, on all cores or a cluster."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service.commands._graphs import Values
from service.commands.serve import BLAS_VARIABLES


class Reduce(StrEnum):
    """What becomes of the gradients of inputs that all points share."""

    none = "none"
    sum = "sum"
    mean = "mean"


class Dtype(StrEnum):
    """The floating dtype."""

    float64 = "float64"
    float32 = "float32"


def command(
    points: Annotated[
        str,
        typer.Argument(
            help="The points: .npz (arrays with a leading axis), .csv (a first line of names), "
            ".ndjson (an object of inputs on every line), .parquet, .arrow; .csv.gz, .ndjson.gz; "
            "or - for lines of JSON from stdin. Columns that no input reads are carried along."
        ),
    ],
    graph: Annotated[
        str | None,
        typer.Option("--graph", "-g", help="A file with a graph, a request, or source text."),
    ] = None,
    expression: Annotated[
        str | None, typer.Option("--expression", "-e", help="Source text, in place of a file.")
    ] = None,
    values: Values = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where to: a file of one of these formats; else lines to stdout."
        ),
    ] = None,
    wrt: Annotated[
        list[str] | None,
        typer.Option("--wrt", help="An input to differentiate by; may be repeated."),
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", help="The output, where the graph has several.")
    ] = None,
    reduce: Annotated[
        Reduce, typer.Option(help="Gradients of inputs that all points share, over the points.")
    ] = Reduce.none,
    dtype: Annotated[Dtype, typer.Option(help="The floating dtype.")] = Dtype.float64,
    block: Annotated[
        int | None, typer.Option(min=1, help="Points of a block; by itself what fits the graph.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by itself one per core.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", help="The address of a Ray cluster: auto, ray://HOST:PORT, local."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the blocks that are finished.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no summary.")] = False,
) -> None:
    """Compute value and gradients at every point of a file.

    The points are split into blocks. Results come in the order of the points, and are the
    same to the byte whatever runs the blocks; a block whose worker is lost is run again.
    Finished blocks lie beside the output until it is whole: after a kill, --resume goes on. A
    row that can't be read or computed has an error in place of its results.
    """
    if (graph is None) == (expression is None):
        raise typer.BadParameter("give --graph or --expression")
    # Each block has a core of its own; NumPy reads this when it is imported.
    for variable in BLAS_VARIABLES:
        os.environ.setdefault(variable, "1")

    from service.bulk.command import run

    run(
        points=None if points == "-" else Path(points),
        graph=graph,
        expression=expression,
        values=values,
        output=output,
        wrt=wrt,
        of=of,
        reduce=reduce.value,
        dtype=dtype.value,
        block=block,
        workers=workers,
        address=ray,
        resume=resume,
        say=(lambda text: None) if quiet else _say,
    )


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
