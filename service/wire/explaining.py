"""Requests and answers of the endpoints that show a graph: explanations and diagrams."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.wire.models import Tensor
from service.wire.requests import Output, Request
from service.wire.responses import NotFinite

Cotangent = Annotated[
    Tensor,
    Field(
        description="The gradient that arrives at the output, of its shape. A tensor output "
        "without one is differentiated as its sum."
    ),
]


class ExplainRequest(Request):
    """A graph whose forward and backward pass are to be explained."""

    output: Output = None
    cotangent: Cotangent = None


class DiagramRequest(Request):
    """A graph to be drawn."""

    format: Literal["svg", "dot", "mermaid", "node-link"] = Field(
        "svg", description="A picture; Graphviz's or Mermaid's text; or node-link JSON."
    )
    output: Output = None
    gradients: bool = Field(True, description="Whether the gradients are shown below the wires.")
    values: bool = Field(
        True, description="Whether values are shown. Without them no input needs a value."
    )
    cotangent: Cotangent = None
    tensors: Literal["norm", "cells"] = Field(
        "norm", description="Whether the SVG shows tensors by their norm, or entry by entry."
    )


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LeafShown(_Answer):
    """An input or a constant."""

    node: str
    kind: Literal["input", "constant"]
    shape: list[int]
    value: Tensor


class InputShown(_Answer):
    """What a gate reads: a node's value, or a literal number."""

    node: str | None = None
    value: Tensor = None
    literal: Tensor = None


class ForwardStep(_Answer):
    """One gate of the forward pass."""

    step: int = Field(description="From 1. The code's lines of a gate that is one line carry it.")
    node: str
    op: str
    inputs: list[InputShown]
    shape: list[int]
    value: Tensor
    sentence: str
    code: list[str] = Field(description="The gate's lines of the staged code.")
    latex: str
    outputs: dict[str, Tensor] = Field(
        default={}, description="By name, for a gate with several outputs."
    )


class EdgeShown(_Answer):
    """What one gate sends back to one of its inputs."""

    input: str = Field(description="The node that the gate reads there.")
    input_index: int
    contribution: Tensor = Field(description="Local gradient times upstream gradient.")
    accumulated: Tensor = Field(description="The input's gradient with this added.")
    part: int = Field(description="Which of the input's contributions this is, from 1.")
    parts: int = Field(description="How many there are: more than 1 where the wire branches.")
    local_gradient: Tensor = Field(
        default=None,
        description="Element by element; not there for gates whose derivative is no such tensor.",
    )
    accumulation: str = Field(default="", description="A sentence, where the wire branches.")
    code: str = ""
    latex: str = ""
    dimensions: str = Field(
        default="",
        description="Why the expression for the gradient has to be what it is, by shapes.",
    )


class BackwardStep(_Answer):
    """One gate of the backward pass."""

    step: int
    forward_step: int
    node: str
    op: str
    pattern: str = Field(description="distributor, router, switcher, scaler, chain, composite")
    upstream: Tensor = Field(description="The gradient on the gate's output; a list of several.")
    sentence: str
    gradient_formula: str
    edges: list[EdgeShown]
    code: list[str]


class ExplainResponse(_Answer):
    """Both passes, step by step."""

    output: str
    value: Tensor
    leaves: list[LeafShown]
    forward: list[ForwardStep]
    backward: list[BackwardStep]
    gradients: dict[str, Tensor]
    code: str = Field(
        default="", description="Python that runs with NumPy alone: a dX for every X."
    )
    latex: str = ""
    note: str = ""
    warnings: list[NotFinite] = []


class NodeLinkResponse(_Answer):
    """A directed multigraph in node-link form, as NetworkX reads it."""

    directed: bool
    multigraph: bool
    graph: dict[str, Any]
    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]] = Field(
        description="With source, target, input_index, value, gradient, shape; parallel ones too."
    )
