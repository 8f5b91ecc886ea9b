"""Requests for computations: the graph, and the members that stand beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.wire.models import STRICT, Graph, Size, Tensor, Tensors


class GraphRequest(BaseModel):
    """What every request that has a graph takes."""

    model_config = STRICT

    graph: Graph


class Request(GraphRequest):
    """What every request for a computation takes."""

    inputs: Tensors = Field(
        {}, description="Values of inputs, by name; they override the nodes' own."
    )
    dtype: Literal["float64", "float32"] = Field(
        "float64", description="The floating dtype of the computation."
    )
    encoding: Literal["json", "base64"] = Field(
        "json", description="How tensors come out: nested lists, or array objects with base64."
    )


Wanted = Annotated[
    list[str] | None,
    Field(description="The inputs wanted; every floating input where it is left out."),
]
Output = Annotated[
    str | None, Field(description="The output meant; needed only when the graph has several.")
]
Outputs = Annotated[
    list[str] | None, Field(description="The outputs meant; all of the graph's where left out.")
]
Values = Annotated[
    Literal["all", "output"],
    Field(description="Whether the values of all nodes are returned, or the outputs' alone."),
]


class ForwardRequest(Request):
    """A graph to be run forward."""

    values: Values = "all"


class GradientRequest(Request):
    """A graph to be run forward and backward."""

    output: Output = None
    wrt: Wanted = None
    cotangent: Tensor = Field(
        None, description="The gradient that arrives at the output, of its shape; 1 for a scalar."
    )
    values: Values = "all"
    node_gradients: bool = Field(
        False, description="Whether the gradient on every node is returned too."
    )
    batch: bool | list[str] = Field(
        False,
        description="The inputs that carry a leading batch axis of one common length, or true "
        "for every input given. Values and gradients then carry it too.",
    )
    reduce: Literal["none", "sum", "mean"] = Field(
        "none", description="Over the batch: the gradients of the inputs that all points share."
    )


class VjpRequest(Request):
    """Cotangents to be pulled back from outputs to inputs."""

    cotangents: Tensors = Field(
        description="By output: a cotangent of its shape, or a batch of them."
    )
    wrt: Wanted = None
    batch_cotangents: bool = Field(
        False, description="Whether the cotangents carry a leading axis, as the gradients then do."
    )


class JvpRequest(Request):
    """Tangents to be pushed forward from inputs to outputs."""

    tangents: Tensors = Field(description="By input: a tangent of its shape. Others stay put.")
    outputs: Outputs = None


class JacobianRequest(Request):
    """All partial derivatives of outputs with respect to inputs."""

    outputs: Outputs = None
    wrt: Wanted = None


class HessianRequest(Request):
    """All second derivatives of a scalar output."""

    output: Output = None
    wrt: Wanted = None


class HvpRequest(Request):
    """The Hessian of a scalar output times a vector."""

    vector: Tensors = Field(description="By input: a tensor of its shape. These are the variables.")
    output: Output = None


class CheckRequest(Request):
    """Gradients to be held against differences of values."""

    output: Output = None
    wrt: Wanted = None
    cotangent: Tensor = Field(
        None, description="What a non-scalar output is contracted with; drawn where left out."
    )
    gradients: Tensors | None = Field(
        None, description="Gradients to be checked, by input, in place of the graph's own."
    )
    method: Literal["central", "five_point", "complex_step"] = Field(
        "central", description="How the numerical gradient is made."
    )
    step: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="The step, relative to max(1, |x|); chosen by method where left out."
    )
    tolerance: float = Field(1e-5, gt=0, le=1, description="The relative error that passes.")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="Of the directions that are drawn.")


class AnalyzeRequest(Request):
    """A graph to be looked at: nothing is computed."""

    shapes: dict[str, list[Size]] = Field(
        {}, description="Shapes of inputs, in place of values. Scalar where neither is given."
    )


class GradientGraphRequest(Request):
    """A graph whose derivatives are wanted as a graph."""

    output: Output = None
    wrt: Wanted = None
    order: int = Field(1, ge=1, description="The order of the derivative.")
