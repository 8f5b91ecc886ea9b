"""Layers that bring numbers to mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

from service.engine.errors import OperatorError
from service.engine.operators._define import composite
from service.engine.registry import (
    REGISTRY,
    Attribute,
    Domain,
    Example,
    Operator,
    Scales,
    TensorSpec,
)
from service.engine.shapes import broadcast, checked_axis, floating, promote


def _batch_norm(xp: Any, x: Any, scale: Any, bias: Any, *statistics: Any, epsilon: float) -> Any:
    over = (0, *range(2, x.ndim))
    column = (-1, *(1,) * (x.ndim - 2))
    if statistics:
        mean, variance = (xp.reshape(one, shape=column) for one in statistics)
    else:
        mean = xp.mean(x, axis=over, keepdims=True)
        variance = xp.mean(xp.square(x - mean), axis=over, keepdims=True)
    normal = (x - mean) / xp.sqrt(variance + epsilon)
    return normal * xp.reshape(scale, shape=column) + xp.reshape(bias, shape=column)


def _batch_norm_infer(x: TensorSpec, *per_channel: TensorSpec, epsilon: float) -> TensorSpec:
    if x.ndim < 2 or any(one.shape != x.shape[1:2] for one in per_channel):
        raise OperatorError(
            f"batch_norm wants (N, C, …) and vectors of its C, not {x.shape} and "
            f"{per_channel[0].shape}",
            shapes=(x.shape, *(one.shape for one in per_channel)),
        )
    if len(per_channel) == 3:
        raise OperatorError("give both mean and variance, or neither", code="arity")
    return TensorSpec(x.shape, floating(promote(x, *per_channel)))


REGISTRY.register(
    Operator(
        name="batch_norm",
        scales=Scales(parts=("size", "offset")),
        group="neural network",
        inputs=("x", "scale", "bias", "mean", "variance"),
        min_inputs=3,
        summary="(N, C, …) brought to mean 0 and variance 1 per channel, then scaled and shifted; "
        "by the batch's own statistics, or by a given mean and variance.",
        infer=_batch_norm_infer,
        expand=_batch_norm,
        attributes={"epsilon": Attribute("float", 1e-5, "added to the variance")},
        formula="scale * (x - mean) / sqrt(var + epsilon) + bias",
        gradient_formula="through mean and variance too where they are the batch's",
        domain=Domain(
            ranges=((-2, 2), (0.5, 2), (-1, 1), (-1, 1), (0.5, 2)),
            examples=(
                Example(((4, 3), (3,), (3,))),
                Example(((2, 3, 2, 2), (3,), (3,))),
                Example(((4, 3), (3,), (3,), (3,), (3,))),
            ),
        ),
    )
)


def _layer_norm(xp: Any, x: Any, *affine: Any, axis: int, epsilon: float) -> Any:
    over = tuple(range(axis % x.ndim, x.ndim))
    centred = x - xp.mean(x, axis=over, keepdims=True)
    variance = xp.mean(xp.square(centred), axis=over, keepdims=True)
    y = centred / xp.sqrt(variance + epsilon)
    if affine:
        y = y * affine[0]
    return y + affine[1] if len(affine) > 1 else y


def _layer_norm_infer(x: TensorSpec, *affine: TensorSpec, axis: int, epsilon: float) -> TensorSpec:
    checked_axis(axis, x.ndim)
    for one in affine:
        if broadcast(x.shape, one.shape) != x.shape:
            raise OperatorError(
                f"{one.shape} does not broadcast to {x.shape}", shapes=(x.shape, one.shape)
            )
    return TensorSpec(x.shape, floating(promote(x, *affine)))


REGISTRY.register(
    Operator(
        name="layer_norm",
        scales=Scales(parts=("size", "offset")),
        group="neural network",
        inputs=("x", "scale", "bias"),
        min_inputs=1,
        summary="Each row brought to mean 0 and variance 1, then scaled and shifted.",
        infer=_layer_norm_infer,
        expand=_layer_norm,
        attributes={
            "axis": Attribute("axis", -1, "the first of the axes that make a row"),
            "epsilon": Attribute("float", 1e-5, "added to the variance"),
        },
        formula="scale * (x - mean) / sqrt(var + epsilon) + bias",
        gradient_formula="through mean and variance too",
        domain=Domain(
            ranges=((-2, 2), (0.5, 2), (-1, 1)),
            examples=(
                Example(((3, 4), (4,), (4,))),
                Example(((2, 3, 4),), {"axis": 1}),
            ),
        ),
    )
)


def _group_norm(xp: Any, x: Any, *affine: Any, groups: int, epsilon: float) -> Any:
    if x.ndim < 2 or x.shape[1] % groups:
        raise OperatorError(f"{tuple(x.shape)} has no channels in {groups} groups")
    if any(tuple(one.shape) != (x.shape[1],) for one in affine):
        raise OperatorError(f"scale and bias want the shape ({x.shape[1]},), one per channel")
    split = xp.reshape(x, shape=(x.shape[0], groups, -1) if x.size else (x.shape[0], groups, 0))
    y = xp.reshape(xp.layer_norm(split, axis=-1, epsilon=epsilon), shape=tuple(x.shape))
    column = (-1, *(1,) * (x.ndim - 2))
    if affine:
        y = y * xp.reshape(affine[0], shape=column)
    return y + xp.reshape(affine[1], shape=column) if len(affine) > 1 else y


def _instance_norm(xp: Any, x: Any, *affine: Any, epsilon: float) -> Any:
    if x.ndim < 3:
        raise OperatorError(f"instance_norm wants (N, C, …), not {tuple(x.shape)}")
    return xp.group_norm(x, *affine, groups=x.shape[1], epsilon=epsilon)


_EPSILON = Attribute("float", 1e-5, "added to the variance")
_AFFINE = Domain(ranges=((-2, 2), (0.5, 2), (-1, 1)))
composite(
    "group_norm",
    "x scale bias",
    _group_norm,
    (
        Example(((2, 4, 3), (4,), (4,)), {"groups": 2}),
        Example(((2, 6),), {"groups": 2}),
        Example(((2, 2, 2, 2), (2,)), {"groups": 1}),
    ),
    group="neural network",
    min_inputs=1,
    numbers="numeric",
    domain=_AFFINE,
    attributes={
        "groups": Attribute("int", doc="into how many groups the channels fall", minimum=1),
        "epsilon": _EPSILON,
    },
    summary="(N, C, …) brought to mean 0 and variance 1 per group of channels, then scaled and "
    "shifted per channel.",
    formula="scale * (x - mean) / sqrt(var + epsilon) + bias",
    gradient="through mean and variance too",
)
composite(
    "instance_norm",
    "x scale bias",
    _instance_norm,
    (Example(((2, 3, 4), (3,), (3,))), Example(((1, 2, 2, 2),))),
    group="neural network",
    min_inputs=1,
    numbers="numeric",
    domain=_AFFINE,
    attributes={"epsilon": _EPSILON},
    summary="(N, C, …) brought to mean 0 and variance 1 per channel of every point, then scaled "
    "and shifted.",
    formula="scale * (x - mean) / sqrt(var + epsilon) + bias",
    gradient="through mean and variance too",
)
