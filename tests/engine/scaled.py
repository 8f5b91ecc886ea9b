"""Drawing inputs at the scales of a registration, and how far the engine's digits are off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.engine.registry import Example, Operator
from service.engine.trace import Builder, Traced
from service.engine.transform import finished, replay, trace_pull_back
from tests.engine.drawing import draw, examples
from tests.engine.more_digits import Exact
from tests.engine.test_operator_gradients import drawn_weights, gradients, program_code, run

POINTS = 16
"""Elements of a drawn input of an elementwise operator."""


def scales_of(op: Operator) -> list[str]:
    """The names of the scales that an operator is drawn at."""
    found = list(op.scales.parts)
    return [*(["reach"] if op.scales.reach else []), *(["near"] if op.scales.near else []), *found]


def scaled_examples(op: Operator) -> list[Example]:
    """The examples for a scale: elementwise operators on one long vector."""
    if op.elementwise:
        attrs = [dict(e.attrs) for e in op.domain.examples] or [{}]
        count = max(len(op.inputs), 2 if op.variadic else 0)
        return [Example(((POINTS,),) * count, attr) for attr in attrs]
    small = [e for e in examples(op) if sum(math.prod(s) for s in e.shapes) <= 18]
    return (small or examples(op)[:1])[:2]


def draw_scaled(op: Operator, example: Example, scale: str, seed: int, dtype: str) -> list[Any]:
    """Inputs of an operator at one of its scales."""
    rng = np.random.default_rng(seed)
    inputs = draw(op, example, seed, "float64")
    for place, x in enumerate(inputs):
        if x.dtype.kind == "f" and not (scale == "offset" and place):
            limit = float(np.finfo(dtype).max) / 1e3
            inputs[place] = np.clip(_scaled(op, x, scale, place, rng, dtype), -limit, limit)
    return [x.astype(dtype) if x.dtype.kind == "f" else x for x in inputs]


def _scaled(
    op: Operator, x: Any, scale: str, place: int, rng: np.random.Generator, dtype: str
) -> Any:
    def powers(shape: Any, low: float = -6, high: float = 6) -> Any:
        return 10.0 ** rng.uniform(low, high, shape)

    if scale == "ordinary":
        return x
    if scale == "size":
        return x * powers(())
    if scale == "offset":
        return x + powers((), 0, 6)
    if scale in ("rows", "columns", "both"):
        if place:
            return x
        rows = powers((*x.shape[:-1], 1))
        if scale == "both":
            return rows * x * np.swapaxes(rows, -1, -2)
        return rows * x if scale == "rows" else x * powers((*x.shape[:-2], 1, x.shape[-1]))
    if scale == "near":
        point = rng.choice(op.scales.near, x.shape)
        moved = point + rng.choice([-1.0, 1.0], x.shape) * powers(
            x.shape, math.log10(np.finfo(dtype).eps) + 1.5, -1
        )
        return _into(op, moved, point, place)
    low, high = op.scales.reach[min(place, len(op.scales.reach) - 1)]
    ends = np.where(rng.random(x.shape) < (0.5 if low < 0 < high else float(low < 0)), low, high)
    least = math.log10(low) if low > 0 else -12.0
    by_orders = np.sign(ends) * 10.0 ** rng.uniform(least, np.log10(np.abs(ends)))
    # Tails of exponentials lie within one order of magnitude.
    evenly = (np.arange(x.size) % 2 == 1).reshape(x.shape) & (high - low < 1e4)
    return np.where(evenly, rng.uniform(low, high, x.shape), by_orders)


def _into(op: Operator, moved: Any, point: Any, place: int) -> Any:
    """`moved` on the other side of `point` where it left the reach."""
    if not op.scales.reach:
        return moved
    low, high = op.scales.reach[min(place, len(op.scales.reach) - 1)]
    return np.where((moved < low) | (moved > high), 2.0 * point - moved, moved)


@dataclass(frozen=True, slots=True)
class Errors:
    """Worst errors: in units in the last place, and in units of what inputs' last digits do."""

    ulps: float
    conditioned: float
    where: str = ""


def errors(op: Operator, example: Example, scale: str, seed: int, dtype: str) -> list[Errors]:
    """The worst errors of values, gradients and Hessian-vector products at drawn inputs."""
    inputs = draw_scaled(op, example, scale, seed, dtype)
    code, leaves, slots = program_code(op, example, inputs, dtype)
    weights = drawn_weights(code, slots, seed + 1)
    if not weights:
        return []
    values = run(code, leaves)
    found = [[np.asarray(values[slot]) for slot in slots]]
    wanted = {n: s for n, s in code.inputs.items() if code.steps[s].spec.floating}
    if not op.differentiable:
        wanted = {}
    rng = np.random.default_rng(seed + 2)
    directions = {
        n: (leaves[n] * rng.uniform(0.5, 1.5, np.shape(leaves[n]))).astype(dtype) for n in wanted
    }
    found.append([gradients(code, leaves, weights)[n] for n in wanted])
    found.append(list(_products(code, leaves, weights, directions).values()) if wanted else [])
    places = {n: int(n[1:]) for n in wanted}
    outer = Exact(
        op,
        example,
        inputs,
        [weights.get(slot) for slot in slots],
        {places[n]: d for n, d in directions.items()},
    )
    *expected, changes = outer.results()
    return [_worst(*group, dtype) for group in zip(found, expected, changes, strict=True)]


def _products(code: Any, leaves: Any, weights: Any, directions: Any) -> dict[str, Any]:
    """Hessian-vector products, by differentiating the traced gradients."""
    builder = Builder(next(iter(directions.values())).dtype.name, share=True)
    values = replay(builder, code)
    seeds = {slot: builder.constant(w, code.steps[slot].spec) for slot, w in weights.items()}
    traced = trace_pull_back(builder, code, values, seeds, [code.inputs[n] for n in directions])
    results: dict[str, Traced] = {f"d{n}": t for n, t in zip(directions, traced, strict=True)}
    derived = finished(builder, results, builder._limits)
    outer: dict[int, Any] = {}
    for name, direction in directions.items():
        slot = derived.names[f"d{name}"]
        outer[slot] = outer[slot] + direction if slot in outer else direction
    products = gradients(derived, leaves, outer)
    zeros = {n: np.zeros(np.shape(d), d.dtype) for n, d in directions.items()}
    return {n: products.get(n, zeros[n]) for n in directions}


def _worst(found: list[Any], expected: list[Any], changes: list[Any], dtype: str) -> Errors:
    info = np.finfo(dtype)
    worst = Errors(0.0, 0.0)
    for a, *others in zip(found, expected, changes, strict=True):
        b, change = (np.asarray(other, object) for other in others)
        for place in np.ndindex(np.shape(b)):
            exact, own = b[place], float(a[place])
            if abs(exact) > float(info.max) / 1e3:
                continue
            off = abs(exact - own) if math.isfinite(own) else math.inf
            off = max(0.0, float(off) - float(info.tiny))
            size = float(abs(exact)) * float(info.eps) + float(info.tiny) * float(info.eps)
            bound = size + float(change[place]) * float(info.eps)
            one = Errors(off / size, off / bound, f"{place}: {own!r} for {float(exact)!r}")
            if one.conditioned > worst.conditioned or not worst.where:
                worst = Errors(max(worst.ulps, one.ulps), one.conditioned, one.where)
            else:
                worst = Errors(max(worst.ulps, one.ulps), worst.conditioned, worst.where)
    return worst
