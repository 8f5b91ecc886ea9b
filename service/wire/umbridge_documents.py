"""The bodies of UM-Bridge 1.0, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from pydantic import BaseModel

Number = Annotated[int, Meta(ge=0)]
Vector = list[float]


class UmbridgeNameRequest(msgspec.Struct, kw_only=True):
    """A model."""

    name: Annotated[str, Meta(description="The name or id of a registered graph, or `graph`.")]


class UmbridgeSizesRequest(UmbridgeNameRequest, kw_only=True):
    """A model in a configuration."""

    config: Annotated[
        dict[str, Any], Meta(description="`graph`, `inputs`, `shapes`, `outputs`; see /Info.")
    ] = {}


class UmbridgeEvaluateRequest(UmbridgeSizesRequest, kw_only=True):
    """A model at a point."""

    input: Annotated[list[Vector], Meta(description="One vector for every input.")]


class UmbridgeGradientRequest(UmbridgeEvaluateRequest, kw_only=True):
    """A direction in an output."""

    outWrt: Annotated[Number, Meta(description="The number of the output.")]
    inWrt: Annotated[Number, Meta(description="The number of the input.")]
    sens: Annotated[Vector, Meta(description="Of that output's length.")]


class UmbridgeApplyJacobianRequest(UmbridgeEvaluateRequest, kw_only=True):
    """A direction in an input."""

    outWrt: Annotated[Number, Meta(description="The number of the output.")]
    inWrt: Annotated[Number, Meta(description="The number of the input.")]
    vec: Annotated[Vector, Meta(description="Of that input's length.")]


class UmbridgeApplyHessianRequest(UmbridgeEvaluateRequest, kw_only=True):
    """A direction in an output and one in an input."""

    outWrt: Annotated[Number, Meta(description="The number of the output.")]
    inWrt1: Annotated[Number, Meta(description="The number of the input that the result is of.")]
    inWrt2: Annotated[Number, Meta(description="The number of the input that `vec` is of.")]
    sens: Annotated[Vector, Meta(description="Of that output's length.")]
    vec: Annotated[Vector, Meta(description="Of that input's length.")]


class UmbridgeModelInfo(BaseModel):
    """Which calls the model takes."""

    support: dict[str, bool]


class UmbridgeInputSizes(BaseModel):
    """Lengths of the input vectors."""

    inputSizes: list[int]


class UmbridgeOutputSizes(BaseModel):
    """Lengths of the output vectors."""

    outputSizes: list[int]


class UmbridgeOutputs(BaseModel):
    """The output vectors."""

    output: list[Vector]


class UmbridgeOutput(BaseModel):
    """A vector."""

    output: Vector


class UmbridgeFault(BaseModel):
    """What kind of error it is, and what is wrong."""

    type: str
    message: str


class UmbridgeRefusal(BaseModel):
    """An error in the protocol's form."""

    error: UmbridgeFault
