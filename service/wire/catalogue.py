"""The operator catalogue as JSON, derived from the registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from service.engine.compute import forward
from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.numpy_compat import SPELLED, Parameter
from service.engine.operators import REGISTRY
from service.engine.program import program_for
from service.engine.registry import Attribute, Domain, Example, Operator
from service.wire.graph_json import graph_document


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Arity(_Entry):
    """How many inputs an operator takes."""

    min: int
    max: int | None = Field(description="null: any number.")


class AttributeEntry(_Entry):
    """One attribute of an operator."""

    json_schema: dict[str, Any]
    required: bool
    default: Any = Field(None, description="Only there when it is not required.")
    description: str


class ExampleEntry(_Entry):
    """A request to /v1/forward and what it answers."""

    request: dict[str, Any]
    response: dict[str, Any]


class OperatorEntry(_Entry):
    """Everything about one operator."""

    name: str
    aliases: list[str]
    group: str
    summary: str
    inputs: list[str] = Field(description="What each input is called in the formulas.")
    arity: Arity
    outputs: int = Field(description="A further output is referred to as `node.1`.")
    attributes: dict[str, AttributeEntry]
    formula: str
    gradient_formula: str = Field(description="g is the gradient that arrives, y the result.")
    kinks: str = Field(description="What holds where the derivative does not exist.")
    pattern: str = Field(description="The gate's pattern in backward flow, where it has one.")
    differentiable: bool
    elementwise: bool
    composite: bool = Field(description="Expands into other operators.")
    gate: str = Field("", description="The operator that two or more inputs make of it.")
    example: ExampleEntry | None = Field(
        default=None, description="Only in the entry of one operator."
    )


class OperatorList(_Entry):
    """The catalogue."""

    operators: list[OperatorEntry]
    count: int


def listed() -> Iterator[Operator]:
    """The operators of the catalogue, by group and name."""
    return iter(
        sorted(
            (op for op in REGISTRY if not op.internal),
            key=lambda op: (op.group != "leaf", op.group, op.name),
        )
    )


def entry(operator: Operator, *, example: bool) -> dict[str, Any]:
    """The catalogue's entry for an operator; with `example`, a request and its answer."""
    least, most = operator.arity
    made: dict[str, Any] = {
        "name": operator.name,
        "aliases": list(operator.aliases),
        "group": operator.group,
        "summary": operator.summary,
        "inputs": list(operator.inputs),
        "arity": {"min": least, "max": None if operator.gate else most},
        "outputs": operator.outputs,
        "attributes": {name: _attribute(one) for name, one in operator.attributes.items()},
        "formula": operator.formula,
        "gradient_formula": operator.gradient_formula,
        "kinks": operator.kinks,
        "pattern": operator.pattern,
        "differentiable": operator.differentiable,
        "elementwise": operator.elementwise,
        "composite": operator.composite,
        "gate": operator.gate,
    }
    if example and operator.group != "leaf":
        made["example"] = _example(operator)
    return made


def _attribute(attribute: Attribute) -> dict[str, Any]:
    schema = TypeAdapter(attribute.annotation).json_schema()
    if attribute.minimum is not None:
        schema["minimum"] = attribute.minimum
    made = {
        "json_schema": schema,
        "required": attribute.required,
        "description": attribute.doc,
    }
    if not attribute.required:
        made["default"] = attribute.default
    return made


def _example(operator: Operator) -> dict[str, Any]:
    """A call on the shapes that the operator is tested with, with plain values."""
    domain = operator.domain
    call = domain.examples[0] if domain.examples else _elementwise(operator)
    values = _values(call, domain)
    if domain.prepare is not None:
        values = tuple(np.asarray(value) for value in domain.prepare(*values))
    names = [f"x{i}" for i in range(len(values))]
    spec = GraphSpec(
        ids=[*names, "y"],
        ops=[*["input"] * len(names), operator.name],
        inputs=[*[()] * len(names), names],
        leaves={i: _leaf(value) for i, value in enumerate(values)},
        attrs={len(names): dict(call.attrs)} if call.attrs else {},
        output="y",
    )
    request = {"graph": graph_document(spec)}
    graph = resolve(spec)
    made = forward(program_for(graph, {}), {}, values=False)
    return {"request": request | {"values": "output"}, "response": {"outputs": made.outputs}}


def _leaf(value: np.ndarray[Any, Any]) -> Leaf:
    if value.ndim == 0 and value.dtype == np.float64:
        return Leaf("input", float(value))
    whole = None if value.dtype.kind in "fb" else str(value.dtype)
    return Leaf("input", value, None, whole)


def _elementwise(operator: Operator) -> Example:
    """Three elements for every input; truth values for conditions."""
    count = max(len(operator.inputs), operator.arity[0])
    names = [*operator.inputs, *operator.inputs[-1:] * count][:count]
    truths = [operator.group == "logic" or name == "condition" for name in names]
    dtypes = tuple("bool" if truth else "float64" for truth in truths)
    return Example(((3,),) * count, {}, dtypes)


def _values(call: Example, domain: Domain) -> tuple[np.ndarray[Any, Any], ...]:
    """Evenly spread values in the domain, shifted from input to input."""
    values = []
    for index, shape in enumerate(call.shapes):
        size = int(np.prod(shape))
        dtype = call.dtypes[index] if index < len(call.dtypes) else "float64"
        if dtype.startswith("int"):
            values.append((np.arange(size) % call.integers).reshape(shape).astype(dtype))
            continue
        low, high = domain.ranges[min(index, len(domain.ranges) - 1)]
        spread = (np.arange(size) + 0.5 + 0.25 * (index % 2)) / (size + 0.5)
        value = np.round(low + (high - low) * spread, 2)
        if dtype == "bool":
            value = value > (low + high) / 2
        values.append(value.reshape(shape))
    return tuple(values)


_PAGE = """# Operators

Written by `gradient-service operators --markdown` from the registry; `gradient-service operators
NAME` and `GET /v1/operators/{name}` show one with its attributes and an example.

In the formulas `g` is the gradient that arrives, `y` the result. Under *NumPy* stands the call
of NumPy's that source text may spell it with, in NumPy's order of arguments; every name and
alias can be called too, with the inputs in order and then the attributes. Under *ONNX* stands
the operator that means the same of the same inputs; others are written as several nodes.
"""


def page() -> str:
    """The catalogue as a page in Markdown: a table for every group."""
    lines = [_PAGE]
    groups: dict[str, list[Operator]] = {}
    for op in REGISTRY:
        if not op.internal and op.group != "leaf":
            groups.setdefault(op.group, []).append(op)
    for group, members in groups.items():
        lines += [f"## {group.capitalize()}", "", _row("operator", *_COLUMNS)]
        lines.append(_row(*["---"] * (len(_COLUMNS) + 1)))
        lines += [_described(op) for op in members]
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


_COLUMNS = ("what it gives", "formula", "gradient", "at kinks and corners", "NumPy", "ONNX")


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _described(op: Operator) -> str:
    names = f"`{op.name}`" + "".join(f", `{alias}`" for alias in op.aliases)
    slope = op.gradient_formula
    calls = [_call(name) for name, signature in SPELLED.items() if signature.operator is op]
    return _row(
        names,
        op.summary,
        f"`{op.formula}`",
        f"`{slope}`" if " = " in slope else slope,
        op.kinks,
        ", ".join(calls),
        op.onnx if isinstance(op.onnx, str) else "",
    )


def _call(name: str) -> str:
    signature = SPELLED[name]
    named = signature.by_name.values()
    order = [one for one in signature.positional if one.ours is not None]
    more = [one for one in named if one.ours in signature.operator.inputs and one not in order]
    return f"`np.{name}({', '.join(map(_written, order or more))})`"


def _written(parameter: Parameter) -> str:
    return f"[{parameter.theirs}, …]" if parameter.many else parameter.theirs
