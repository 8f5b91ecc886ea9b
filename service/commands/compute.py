"""One command for each way to compute, with the API's JSON in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import orjson
import typer

from service.commands._graphs import Text, Values, request_from
from service.commands._local import answer, read_input, write_output

_PURPOSES = {
    "forward": "Compute a graph's values.",
    "gradient": "Compute a graph's value and the gradient by every input.",
    "vjp": "Compute vector-Jacobian products.",
    "jvp": "Compute Jacobian-vector products.",
    "jacobian": "Compute Jacobians.",
    "hessian": "Compute the Hessian of a scalar output.",
    "hvp": "Compute Hessian-vector products.",
    "check": "Check gradients against finite differences.",
    "analyze": "Show order, shapes and costs of a graph; compute nothing.",
    "gradient-graph": "Write the graph that computes the gradients.",
}


def _command(name: str, purpose: str) -> Callable[..., None]:
    def command(
        file: Annotated[str, typer.Argument(help="A request as JSON; - is standard input.")] = "-",
        expression: Text = None,
        values: Values = None,
    ) -> None:
        if expression is None and not values:
            body = read_input(file)
        else:
            body = orjson.dumps(request_from(file, expression, values))
        write_output(answer(f"/v1/{name}", body))

    command.__doc__ = f"{purpose} Takes and gives the JSON of POST /v1/{name}."
    return command


commands = {name: _command(name, purpose) for name, purpose in _PURPOSES.items()}
