"""The service's resources as calls: what is sent, and how the answer is read.

No call knows how it is sent; `service.client.http` does that, for threads and for asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import orjson

from service.client.tensors import Tensor, decode, decode_all, encode
from service.client.var import Var, graph

Answer = TypeVar("Answer")
GraphLike = Any
"""A Var or several; `expression(...)`; a dict in the service's form; a registered graph's
id or name, or a Registered."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One request. `read` makes the answer of the response's body."""

    method: str
    path: str
    read: Callable[[bytes], Answer]
    body: bytes | None = None
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """Tensors by name. Which of the members are there depends on the call."""

    outputs: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)
    value: Tensor = None
    gradients: dict[str, Tensor] = field(default_factory=dict)
    tangents: dict[str, Tensor] = field(default_factory=dict)
    jacobian: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    hessian: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    hvp: dict[str, Tensor] = field(default_factory=dict)
    warnings: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Gradient:
    """The value of the output and its gradient with respect to every input.

    `values` and `node_gradients` hold every node, where they were asked for; `warnings`
    name the first node that is not finite.
    """

    output: str
    value: Tensor
    gradients: dict[str, Tensor]
    values: dict[str, Tensor] = field(default_factory=dict)
    node_gradients: dict[str, Tensor] = field(default_factory=dict)
    warnings: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class GradientGraph:
    """A graph that computes gradients: `graph` can be sent again; `gradients` names nodes."""

    graph: dict[str, Any]
    gradients: dict[str, str]


@dataclass(frozen=True, slots=True)
class Registered:
    """A graph that the service keeps. It can stand wherever a graph is taken."""

    id: str
    names: tuple[str, ...] = ()
    created_at: str = ""
    graph: dict[str, Any] | None = None


def expression(source: str, output: str | Sequence[str] | None = None) -> dict[str, Any]:
    """A graph from source text: assignments in Python's syntax, the last one the output."""
    made: dict[str, Any] = {"expression": source}
    if output is not None:
        made["output"] = output if isinstance(output, str) else list(output)
    return made


def as_graph(given: GraphLike) -> Any:
    """What stands for the graph in a request."""
    if isinstance(given, Var):
        return graph(given)
    if isinstance(given, Registered):
        return given.id
    if isinstance(given, str | Mapping):
        return given
    return graph(list(given))


def _request(
    graph: GraphLike, inputs: Mapping[str, Any] | None, dtype: str, **members: Any
) -> bytes:
    """A compute request; members that are None are left out."""
    body: dict[str, Any] = {"graph": as_graph(graph), "encoding": "base64"}
    if inputs is not None:
        body["inputs"] = _tensors(inputs)
    if dtype != "float64":
        body["dtype"] = dtype
    body |= {name: value for name, value in members.items() if value is not None}
    return orjson.dumps(body)


def _tensors(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encode(value) for name, value in given.items()}


def _names(given: Sequence[str] | None) -> list[str] | None:
    return None if given is None else list(given)


def _result(body: bytes) -> Result:
    found = orjson.loads(body)
    tables = ("outputs", "values", "gradients", "tangents", "hvp")
    nested = ("jacobian", "hessian")
    members: dict[str, Any] = {name: decode_all(found.get(name) or {}) for name in tables}
    for name in nested:
        rows = found.get(name) or {}
        members[name] = {row: decode_all(columns) for row, columns in rows.items()}
    if found.get("value") is not None:
        members["value"] = decode(found["value"])
    return Result(**members, warnings=tuple(found.get("warnings", ())))


def _gradient(body: bytes) -> Gradient:
    found = orjson.loads(body)
    return Gradient(
        output=found["output"],
        value=decode(found["value"]),
        gradients=decode_all(found["gradients"]),
        values=decode_all(found.get("values") or {}),
        node_gradients=decode_all(found.get("node_gradients") or {}),
        warnings=tuple(found.get("warnings", ())),
    )


def _document(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(body)
    return found


def _text(body: bytes) -> str:
    return body.decode()


def _nothing(_: bytes) -> None:
    return None


def _registered(body: bytes) -> Registered:
    found = orjson.loads(body)
    return _as_registered(found)


def _as_registered(found: Mapping[str, Any]) -> Registered:
    return Registered(
        id=found["id"],
        names=tuple(found.get("names", ())),
        created_at=found.get("created_at", ""),
        graph=found.get("graph"),
    )


def _page(body: bytes) -> tuple[list[Registered], str | None]:
    found = orjson.loads(body)
    return [_as_registered(item) for item in found["graphs"]], found.get("next")


def forward(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None = None,
    *,
    values: bool = False,
    dtype: str = "float64",
) -> Call[Result]:
    """The graph's `outputs`, and with `values` every node's value."""
    wanted = "all" if values else "output"
    body = _request(graph, inputs, dtype, values=wanted)
    return Call("POST", "/v1/forward", _result, body)


def gradient(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None = None,
    *,
    output: str | None = None,
    wrt: Sequence[str] | None = None,
    cotangent: Any = None,
    values: bool = False,
    node_gradients: bool = False,
    batch: bool | Sequence[str] | None = None,
    reduce: str | None = None,
    dtype: str = "float64",
) -> Call[Gradient]:
    """The output's value and its gradient with respect to `wrt`, by default every input.

    `batch` True, or the inputs that carry a leading axis of points; `reduce` is "sum" or
    "mean" for the gradients of the others.
    """
    body = _request(
        graph,
        inputs,
        dtype,
        output=output,
        wrt=_names(wrt),
        cotangent=None if cotangent is None else encode(cotangent),
        values="all" if values else "output",
        node_gradients=node_gradients or None,
        batch=batch if batch is None or isinstance(batch, bool) else list(batch),
        reduce=reduce,
    )
    return Call("POST", "/v1/gradient", _gradient, body)


def vjp(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None,
    cotangents: Mapping[str, Any],
    *,
    wrt: Sequence[str] | None = None,
    batch_cotangents: bool = False,
    dtype: str = "float64",
) -> Call[Result]:
    """Vector-Jacobian products: `outputs` and `gradients`."""
    body = _request(
        graph,
        inputs,
        dtype,
        cotangents=_tensors(cotangents),
        wrt=_names(wrt),
        batch_cotangents=batch_cotangents or None,
    )
    return Call("POST", "/v1/vjp", _result, body)


def jvp(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None,
    tangents: Mapping[str, Any],
    *,
    dtype: str = "float64",
) -> Call[Result]:
    """Jacobian-vector products: `outputs` and `tangents`."""
    body = _request(graph, inputs, dtype, tangents=_tensors(tangents))
    return Call("POST", "/v1/jvp", _result, body)


def jacobian(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    dtype: str = "float64",
) -> Call[Result]:
    """`jacobian[output][input]`, of the output's shape followed by the input's."""
    body = _request(graph, inputs, dtype, outputs=_names(outputs), wrt=_names(wrt))
    return Call("POST", "/v1/jacobian", _result, body)


def hessian(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None = None,
    *,
    wrt: Sequence[str] | None = None,
    dtype: str = "float64",
) -> Call[Result]:
    """`value`, `gradients` and `hessian[a][b]` of a scalar output."""
    body = _request(graph, inputs, dtype, wrt=_names(wrt))
    return Call("POST", "/v1/hessian", _result, body)


def hvp(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None,
    vector: Mapping[str, Any],
    *,
    dtype: str = "float64",
) -> Call[Result]:
    """`value`, `gradients` and the Hessian times `vector` as `hvp`."""
    body = _request(graph, inputs, dtype, vector=_tensors(vector))
    return Call("POST", "/v1/hvp", _result, body)


def check(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None = None,
    *,
    method: str | None = None,
    step: float | None = None,
    tolerance: float | None = None,
    seed: int | None = None,
) -> Call[dict[str, Any]]:
    """The gradient held against finite differences: the service's report."""
    body = _request(
        graph, inputs, "float64", method=method, step=step, tolerance=tolerance, seed=seed
    )
    return Call("POST", "/v1/check", _document, body)


def analyze(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None = None,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    dtype: str = "float64",
) -> Call[dict[str, Any]]:
    """Order, shapes and cost of every node, without computing anything."""
    given = None if shapes is None else {name: list(shape) for name, shape in shapes.items()}
    return Call("POST", "/v1/analyze", _document, _request(graph, inputs, dtype, shapes=given))


def gradient_graph(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None = None,
    *,
    output: str | None = None,
    wrt: Sequence[str] | None = None,
    order: int = 1,
) -> Call[GradientGraph]:
    """The graph that computes the gradients."""
    body = _request(graph, inputs, "float64", output=output, wrt=_names(wrt), order=order)

    def read(text: bytes) -> GradientGraph:
        found = orjson.loads(text)
        return GradientGraph(found["graph"], found["gradients"])

    return Call("POST", "/v1/gradient-graph", read, body)


def explain(
    graph: GraphLike, inputs: Mapping[str, Any] | None = None, *, output: str | None = None
) -> Call[dict[str, Any]]:
    """The forward and backward pass step by step, and as code."""
    return Call("POST", "/v1/explain", _document, _request(graph, inputs, "float64", output=output))


def diagram(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None = None,
    *,
    format: str = "svg",
    output: str | None = None,
    gradients: bool = True,
) -> Call[str]:
    """The circuit as text of this format: svg, dot, mermaid or node-link."""
    body = _request(graph, inputs, "float64", format=format, output=output, gradients=gradients)
    return Call("POST", "/v1/diagram", _text, body)


def grade(
    submission: Mapping[str, Any],
    *,
    task: str | None = None,
    graph: GraphLike = None,
    inputs: Mapping[str, Any] | None = None,
    **members: Any,
) -> Call[dict[str, Any]]:
    """A submission graded: against the task of this id, or against a graph and its inputs.

    `submission` holds `values` and `gradients` by name, arrays or numbers; `members` are
    what a task has besides (rubric, tolerance, reveal, seed).
    """
    sent = dict(submission)
    for table in ("values", "gradients"):
        if table in sent:
            sent[table] = _tensors(sent[table])
    body: dict[str, Any] = {"submission": sent, **members}
    if task is not None:
        body["task"] = task
    if graph is not None:
        body["graph"] = as_graph(graph)
    if inputs is not None:
        body["inputs"] = {
            name: value if isinstance(value, Mapping) else encode(value)
            for name, value in inputs.items()
        }
    return Call("POST", "/v1/grade", _document, orjson.dumps(body))


def operators() -> Call[dict[str, Any]]:
    """The catalogue."""
    return Call("GET", "/v1/operators", _document)


def operator(name: str) -> Call[dict[str, Any]]:
    """One operator of the catalogue, by name or alias."""
    return Call("GET", f"/v1/operators/{quote(name, safe='')}", _document)


def register(graph: GraphLike, name: str | None = None) -> Call[Registered]:
    """Keep a graph under the hash of its content, and let `name` point at it."""
    body: dict[str, Any] = {"graph": as_graph(graph)}
    if name is not None:
        body["name"] = name
    return Call("POST", "/v1/graphs", _registered, orjson.dumps(body))


def registered(reference: str) -> Call[Registered]:
    """The registered graph with this id or name, and its JSON."""
    return Call("GET", f"/v1/graphs/{quote(reference, safe=':')}", _registered)


def list_graphs(
    *, limit: int = 100, cursor: str | None = None
) -> Call[tuple[list[Registered], str | None]]:
    """One page of registered graphs, and the cursor of the next one."""
    query = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
    return Call("GET", "/v1/graphs", _page, query=query)


def delete_graph(reference: str) -> Call[None]:
    """Take away a name, or (by id) a graph with its names."""
    return Call("DELETE", f"/v1/graphs/{quote(reference, safe=':')}", _nothing)
