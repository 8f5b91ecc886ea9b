"""Leaves, and the projection onto one output of a node that has several."""

from __future__ import annotations

from typing import Any

from service.engine.registry import REGISTRY, Attribute, Operator, TensorSpec


def _no_shape_rule(*_: TensorSpec, **__: Any) -> TensorSpec:
    raise AssertionError("a leaf's shape comes from its value")


REGISTRY.register(
    Operator(
        name="input",
        group="leaf",
        inputs=(),
        summary="A leaf with a gradient; the request gives its value, or the node a default.",
        infer=_no_shape_rule,
        formula="x",
    )
)
REGISTRY.register(
    Operator(
        name="constant",
        group="leaf",
        inputs=(),
        summary="A leaf without a gradient; its value stands in the node.",
        infer=_no_shape_rule,
        formula="c",
        differentiable=False,
    )
)


def _project(parts: tuple[Any, ...], *, index: int) -> Any:
    return parts[index]


PROJECT = REGISTRY.register(
    Operator(
        name="output_of",
        sign=".",
        group="leaf",
        inputs=("x",),
        summary="One output of a node that has several.",
        infer=_no_shape_rule,
        forward=_project,
        attributes={"index": Attribute("int", doc="which output, from 0")},
        formula="x.index",
        internal=True,
    )
)
