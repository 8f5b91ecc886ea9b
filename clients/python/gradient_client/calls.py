"""The service's resources as calls: what is sent, and how the answer is read.

No call knows how it is sent; `gradient_client.http` does that, for threads and for asyncio.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import numpy as np
import orjson

from gradient_client.tensors import Tensor, decode, decode_all, encode, single_precision
from gradient_client.var import Var, graph

Answer = TypeVar("Answer")
GraphLike = Any
"""A Var or several; source text; a dict in the service's form; a registered graph's id or
name, or a Registered. A text that could be a name is one: `expression("x")` is source text."""
_REFERENCE = re.compile(r"sha256:[0-9a-f]{64}|[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


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

    def _repr_html_(self) -> str:
        """A table for notebooks: the output, then every input with its gradient."""
        rows = [(self.output, self.value, "")]
        rows += [(name, self.values.get(name, ""), g) for name, g in self.gradients.items()]
        return table(("name", "value", "gradient"), rows)


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


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """An HTML table of names and tensors."""

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(f"<{tag}><pre>{escape(_shown(one))}</pre></{tag}>" for one in row)

    lines = [f"<tr>{cells('th', titles)}</tr>", *(f"<tr>{cells('td', row)}</tr>" for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def _shown(value: Any) -> str:
    return np.array2string(value, threshold=50) if isinstance(value, np.ndarray) else str(value)


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
    if isinstance(given, str):
        return given if _REFERENCE.fullmatch(given) else expression(given)
    if isinstance(given, Mapping):
        return given
    return graph(list(given))


def _request(
    graph: GraphLike, inputs: Mapping[str, Any] | None, dtype: str | None, **members: Any
) -> bytes:
    """A compute request; members that are None are left out.

    Without a dtype it is float32 where the arrays are, and else float64.
    """
    if dtype is None and single_precision(inputs or {}):
        dtype = "float32"
    body: dict[str, Any] = {"graph": as_graph(graph), "encoding": "base64"}
    if inputs is not None:
        body["inputs"] = _tensors(inputs)
    if dtype not in (None, "float64"):
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


class Circuit(str):
    """A drawing as text; a notebook shows one that is SVG."""

    __slots__ = ()

    def _repr_svg_(self) -> str | None:
        return str(self) if self.startswith("<svg") else None


def _drawing(body: bytes) -> Circuit:
    return Circuit(body.decode())


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
    dtype: str | None = None,
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
    dtype: str | None = None,
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
    dtype: str | None = None,
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
    dtype: str | None = None,
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
    dtype: str | None = None,
) -> Call[Result]:
    """`jacobian[output][input]`, of the output's shape followed by the input's."""
    body = _request(graph, inputs, dtype, outputs=_names(outputs), wrt=_names(wrt))
    return Call("POST", "/v1/jacobian", _result, body)


def hessian(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None = None,
    *,
    wrt: Sequence[str] | None = None,
    dtype: str | None = None,
) -> Call[Result]:
    """`value`, `gradients` and `hessian[a][b]` of a scalar output."""
    body = _request(graph, inputs, dtype, wrt=_names(wrt))
    return Call("POST", "/v1/hessian", _result, body)


def hvp(
    graph: GraphLike,
    inputs: Mapping[str, Any] | None,
    vector: Mapping[str, Any],
    *,
    dtype: str | None = None,
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
    dtype: str | None = None,
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
) -> Call[Circuit]:
    """The circuit as text of this format: svg, dot, mermaid or node-link."""
    body = _request(graph, inputs, "float64", format=format, output=output, gradients=gradients)
    return Call("POST", "/v1/diagram", _drawing, body)


def _submission(given: Mapping[str, Any]) -> dict[str, Any]:
    """A submission with its arrays and numbers as JSON; texts such as "1/3" stay as they are."""
    sent = dict(given)
    for name in ("values", "gradients"):
        if name in sent:
            sent[name] = _mixed(sent[name])
    return sent


def _mixed(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, Mapping | str) else encode(value)
        for name, value in given.items()
    }


def _grading(
    task: str | None, graph: GraphLike, inputs: Mapping[str, Any] | None, members: Mapping[str, Any]
) -> dict[str, Any]:
    body = dict(members)
    if task is not None:
        body["task"] = task
    if graph is not None:
        body["graph"] = as_graph(graph)
    if inputs is not None:
        body["inputs"] = _mixed(inputs)
    return body


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
    body = _grading(task, graph, inputs, members) | {"submission": _submission(submission)}
    return Call("POST", "/v1/grade", _document, orjson.dumps(body))


def grade_batch(
    submissions: Sequence[Mapping[str, Any]],
    *,
    task: str | None = None,
    graph: GraphLike = None,
    inputs: Mapping[str, Any] | None = None,
    **members: Any,
) -> Call[list[dict[str, Any]]]:
    """Many submissions graded: a result each, in their order."""
    body = _grading(task, graph, inputs, members)
    body["submissions"] = list(map(_submission, submissions))

    def read(text: bytes) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in text.splitlines() if line.strip()]

    return Call("POST", "/v1/grade/batch", read, orjson.dumps(body))


def evaluate(request: Mapping[str, Any]) -> Call[Any]:
    """A request of the evaluation API answered: a list of feedback."""
    return Call("POST", "/evaluate", orjson.loads, orjson.dumps(dict(request)))


def register_task(task: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Keep a task on the service, under the id that it has or is given."""
    body = dict(task)
    if "graph" in body:
        body["graph"] = as_graph(body["graph"])
    if "inputs" in body:
        body["inputs"] = _mixed(body["inputs"])
    return Call("POST", "/v1/tasks", _document, orjson.dumps(body))


def task(id: str) -> Call[dict[str, Any]]:
    """What the service says of a task that it keeps."""
    return Call("GET", f"/v1/tasks/{quote(id, safe=':')}", _document)


def delete_task(id: str) -> Call[None]:
    """Take a task away."""
    return Call("DELETE", f"/v1/tasks/{quote(id, safe=':')}", _nothing)


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
