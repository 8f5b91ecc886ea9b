"""What the compute endpoints answer, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.wire.models import NodesGraph, Tensor

Tensors = dict[str, Tensor]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NotFinite(_Answer):
    """Where a value or a gradient stopped being finite: the first such node.

    Of second derivatives also the nodes at a kink, where they are by convention.
    """

    kind: Literal["value", "gradient", "kink"]
    node: str
    detail: str
    point: int = Field(default=0, description="The first such point, only there for a batch.")


class _WithWarnings(_Answer):
    warnings: list[NotFinite] = Field(
        default=[], description="Only there when something is not finite, or by convention."
    )


class ForwardResponse(_WithWarnings):
    """Forward values."""

    outputs: Tensors
    values: Tensors = Field(
        default={}, description='By node, in document order; not there for `"values": "output"`.'
    )


class GradientResponse(_WithWarnings):
    """Value and gradients."""

    output: str = Field(description="The name of the output.")
    value: Tensor
    gradients: Tensors = Field(description="By input, each of that input's shape.")
    values: Tensors = Field(
        default={}, description='By node, in document order; not there for `"values": "output"`.'
    )
    node_gradients: Tensors = Field(default={}, description="By node; only there when asked for.")


class VjpResponse(_WithWarnings):
    """Vector-Jacobian products."""

    outputs: Tensors
    gradients: Tensors


class JvpResponse(_WithWarnings):
    """Jacobian-vector products."""

    outputs: Tensors
    tangents: Tensors


class JacobianResponse(_WithWarnings):
    """Partial derivatives."""

    outputs: Tensors
    jacobian: dict[str, Tensors] = Field(
        description="By output and input, each of the output's shape followed by the input's."
    )


class HessianResponse(_WithWarnings):
    """Second derivatives."""

    value: Tensor
    gradients: Tensors
    hessian: dict[str, Tensors] = Field(
        description="By input and input, each of the one's shape followed by the other's."
    )


class HvpResponse(_WithWarnings):
    """The product of the Hessian and the vector."""

    value: Tensor
    gradients: Tensors
    hvp: Tensors


class InputCheck(_Answer):
    """The check of one input."""

    passed: bool | None = Field(
        description="null where nothing could be decided; the verdict says why."
    )
    elements: int
    checked: int = Field(
        description="Elements that were compared; of a large input a sample is moved."
    )
    step: float
    errors: dict[str, float | Literal["NaN", "Infinity"] | None] = Field(
        description="`absolute`, `relative_max`, `relative_sum`, `norm_ratio`, `gradcheck`, "
        "`allclose`."
    )
    worst: list[int] = Field(description="The index of the worst element.")
    analytic: Tensor = Field(description="The gradient there.")
    numerical: Tensor = Field(description="The difference quotient there.")
    verdict: str
    taylor_rate: float | None = Field(
        description="2 where the gradient is right, 1 where it is wrong; null where rounding or a "
        "kink is in the way."
    )
    taylor: Literal["right", "wrong", "rounding", "kink"]
    kink_crossed: list[list[int]] = Field(
        description="Indices whose step crossed a kink. A smaller one was taken; at the kink "
        "itself the gradient is held between the slopes on its two sides."
    )


class CheckResponse(_Answer):
    """Gradients held against differences of values."""

    passed: bool | None = Field(description="null where of an input nothing could be decided.")
    method: Literal["central", "five_point", "complex_step"]
    output: str
    inputs: dict[str, InputCheck]


class NodeAnalysis(_Answer):
    """One node: what it will be and what it takes."""

    shape: list[int]
    dtype: str
    flops: int
    bytes: int


class Totals(_Answer):
    """The whole graph, run forward once."""

    nodes: int
    elements: int
    flops: int
    bytes: int


class AnalyzeResponse(_Answer):
    """What a graph is, without running it."""

    outputs: list[str]
    order: list[str] = Field(description="Nodes in evaluation order.")
    nodes: dict[str, NodeAnalysis]
    totals: Totals


class GradientGraphResponse(_Answer):
    """The graph that computes the derivatives."""

    graph: NodesGraph = Field(description="In the form in which graphs are sent.")
    gradients: dict[str, str] = Field(
        description="By input (by inputs joined with a space for higher orders) the node that "
        "holds the derivative."
    )
