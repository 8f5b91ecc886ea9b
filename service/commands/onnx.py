"""`gradient-service onnx-import` and `onnx-export`: models in, models out."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service.commands._graphs import request_from
from service.commands._local import write_output


class Parameters(StrEnum):
    """What a model's weights become."""

    inputs = "inputs"
    constants = "constants"


class Dtype(StrEnum):
    """The floating dtype."""

    float64 = "float64"
    float32 = "float32"


Shapes = Annotated[
    list[str] | None,
    typer.Option("--shape", help="The shape of an input, as NAME=2,3; may be repeated."),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")]


def _import(
    model: Annotated[Path, typer.Argument(help="The ONNX model.", exists=True, dir_okay=False)],
    output: Output = None,
    parameters: Annotated[
        Parameters,
        typer.Option(help="Weights as inputs with a gradient, or as constants without."),
    ] = Parameters.inputs,
    shape: Shapes = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option("--of", help="An output that is wanted; by itself all floating ones."),
    ] = None,
) -> None:
    """Write an ONNX model as a graph, in the JSON that the service takes."""
    _check_installed()
    import orjson

    from service.onnx import OnnxError, from_onnx

    try:
        made = from_onnx(model, parameters=parameters.value, shapes=_shapes(shape), outputs=outputs)
    except OnnxError as error:
        raise _refusal(error.reasons) from None
    sys.stderr.write(
        f"{len(made.graph['nodes'])} nodes; inputs {', '.join(made.inputs) or 'none'}; "
        f"{len(made.parameters)} parameters; outputs {', '.join(made.outputs)}; {made.dtype}\n"
    )
    write_output(orjson.dumps(made.graph), output)


def _export(
    file: Annotated[
        str, typer.Argument(help="A graph as JSON, a request, or source text; - is stdin.")
    ] = "-",
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path(
        "graph.onnx"
    ),
    expression: Annotated[
        str | None, typer.Option("--expression", "-e", help="Source text, in place of a file.")
    ] = None,
    shape: Shapes = None,
    dtype: Annotated[
        Dtype, typer.Option(help="Of the model; runtimes know more operators in float32.")
    ] = Dtype.float32,
) -> None:
    """Write a graph as an ONNX model."""
    _check_installed()
    import orjson

    from service.onnx import OnnxError, to_onnx
    from service.settings import get_settings
    from service.wire.decode import read_graph

    limits = get_settings().limits
    text = orjson.dumps(request_from(file, expression, None)["graph"])
    graph = read_graph(text, limits)
    try:
        model = to_onnx(graph, _shapes(shape), dtype=dtype.value, limits=limits)
    except OnnxError as error:
        raise _refusal(error.reasons) from None
    output.write_bytes(model.SerializeToString(deterministic=True))


commands = {"onnx-import": _import, "onnx-export": _export}


def _shapes(given: list[str] | None) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for one in given or ():
        name, separator, sizes = one.rpartition("=")
        try:
            found[name] = [int(size) for size in sizes.split(",") if size.strip()]
        except ValueError:
            separator = ""
        if not separator or min(found[name], default=0) < 0:
            raise typer.BadParameter(f"'{one}' is not of the form NAME=2,3", param_hint="--shape")
    return found


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise typer.BadParameter(
            "ONNX is not installed: pip install 'gradient-service[onnx]'"
        ) from None


def _refusal(reasons: tuple[str, ...]) -> Exception:
    """The reasons as faults, for the problem document that the command prints."""
    from service.engine.errors import Fault, GraphError

    return GraphError([Fault("unknown_operator", reason) for reason in reasons])
