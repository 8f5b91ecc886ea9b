"""The bodies of UM-Bridge 1.0, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

Number = Annotated[int, Field(ge=0)]
Vector = list[float]


class UmbridgeNameRequest(BaseModel):
    """A model."""

    name: str = Field(description="The name or id of a registered graph, or `graph`.")


class UmbridgeSizesRequest(UmbridgeNameRequest):
    """A model in a configuration."""

    config: dict[str, Any] = Field(
        {}, description="`graph`, `inputs`, `shapes`, `outputs`; see /Info."
    )


class UmbridgeEvaluateRequest(UmbridgeSizesRequest):
    """A model at a point."""

    input: list[Vector] = Field(description="One vector for every input.")


class UmbridgeGradientRequest(UmbridgeEvaluateRequest):
    """A direction in an output."""

    outWrt: Number = Field(description="The number of the output.")
    inWrt: Number = Field(description="The number of the input.")
    sens: Vector = Field(description="Of that output's length.")


class UmbridgeApplyJacobianRequest(UmbridgeEvaluateRequest):
    """A direction in an input."""

    outWrt: Number = Field(description="The number of the output.")
    inWrt: Number = Field(description="The number of the input.")
    vec: Vector = Field(description="Of that input's length.")


class UmbridgeApplyHessianRequest(UmbridgeEvaluateRequest):
    """A direction in an output and one in an input."""

    outWrt: Number = Field(description="The number of the output.")
    inWrt1: Number = Field(description="The number of the input that the result is of.")
    inWrt2: Number = Field(description="The number of the input that `vec` is of.")
    sens: Vector = Field(description="Of that output's length.")
    vec: Vector = Field(description="Of that input's length.")


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
