"""What requests take, held against what was declared for them, over every operator.

    python -m tests.benchmarks.cost_audit [OPERATOR...]    # SECONDS=… for a part of them

Each operator's first example is scaled in each of its axes, and in the number of its inputs,
as far as it takes that; each goes through every endpoint that computes. The time is the
thread's own of the processor, against `prepared.cost.flops` (nanoseconds); the memory is the
peak that tracemalloc sees, against the bytes of the program's values and of the answer. What a
request takes however small it is, is granted to all.
"""

from __future__ import annotations

import base64
import json
import math
import os
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from service.app import operations
from service.engine.control import Control, Limits
from service.engine.errors import EngineError
from service.engine.program import program_for
from service.engine.registry import Example, Operator
from service.settings import Settings
from service.wire.context import Context
from tests.engine.drawing import GATES, draw, examples, graph_of

GRANTED_SECONDS, GRANTED_BYTES = 0.05, 8_000_000
TIMES, MEMORY = 30.0, 12.0
"""The factors within which the declared cost has to hold."""
LOOP_SECONDS = 0.05
INLINE = Settings.defaults().inline_flops
ENDPOINTS = (
    *("forward", "gradient", "vjp", "jvp", "hvp", "jacobian", "hessian"),
    *("check", "gradient-graph", "explain", "diagram", "analyze"),
)
LIMITS = Limits(elements_per_tensor=2_000_000, elements_total=8_000_000, flops=20_000_000_000)
SCALES = (8, 64)


@dataclass(frozen=True, slots=True)
class Taken:
    """One request: how many times what was declared it took, in time and in memory."""

    name: str
    seconds: float
    time: float
    memory: float
    inline: bool


def scaled(op: Operator) -> Iterator[tuple[str, Example]]:
    """The first example with every length larger in turn, and with more inputs."""
    example = examples(op)[1 if not op.domain.examples else 0]
    lengths = sorted({n for shape in example.shapes for n in shape})
    for scale in SCALES:
        for length in lengths:
            shapes = tuple(
                tuple(n * scale if n == length else n for n in shape) for shape in example.shapes
            )
            yield f"{op.name} {length}x{scale}", replace(example, shapes=shapes)
        if op.variadic and op.name != "einsum":
            shapes = example.shapes[:1] * (2 * scale)
            yield f"{op.name} {2 * scale} inputs", replace(example, shapes=shapes)


def written(x: Any) -> Any:
    """An array as a request has it."""
    array = np.ascontiguousarray(x)
    buffer = base64.b64encode(array.tobytes()).decode()
    data = {"encoding": "base64", "buffer": buffer}
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": data}


def request(op: Operator, example: Example) -> tuple[dict[str, Any], Any]:
    """A graph that sums the squares of the operator's first output, and its program."""
    inputs = [np.asarray(x) for x in draw(op, example, 0)]
    alone = program_for(graph_of(op, example, inputs), {f"x{i}": x for i, x in enumerate(inputs)})
    several = "y.0" in alone.code.names
    nodes: list[dict[str, Any]] = [
        {"id": f"x{i}", "op": "input"} | ({} if x.dtype.kind == "f" else {"dtype": str(x.dtype)})
        for i, x in enumerate(inputs)
    ]
    names = [f"x{i}" for i in range(len(inputs))]
    attrs = {key: list(v) if isinstance(v, tuple) else v for key, v in example.attrs.items()}
    y = "y.0" if several else "y"
    nodes += [
        {"id": "y", "op": op.name, "inputs": names} | attrs,
        {"id": "p", "op": "multiply", "inputs": [y, y]},
        {"id": "f", "op": "sum", "inputs": ["p"]},
    ]
    values = {name: written(x) for name, x in zip(names, inputs, strict=True)}
    return {"graph": {"nodes": nodes, "output": "f"}, "inputs": values}, alone


def bodies(op: Operator, example: Example) -> Iterator[tuple[str, dict[str, Any], int]]:
    """The request of each endpoint, and the elements of the values that it computes with."""
    body, program = request(op, example)
    floating = {name: body["inputs"][name] for name in program.floating_inputs}
    for endpoint in ENDPOINTS:
        more: dict[str, Any] = {}
        if endpoint == "vjp":
            more = {"cotangents": {"f": 1.0}}
        elif endpoint == "jvp":
            more = {"tangents": floating}
        elif endpoint == "hvp":
            more = {"vector": floating}
        elif endpoint in ("forward", "gradient", "jacobian"):
            more = {"encoding": "base64"}
        yield endpoint, body | more, 3 * program.cost.elements


def audit(names: list[str], seconds: float = math.inf) -> Iterator[Taken]:
    """Every request of the operators of these names, or of all; new ones for so many seconds."""
    end = time.monotonic() + seconds
    context = Context(limits=LIMITS)
    known = {path.rpartition("/")[2]: one for path, one in operations().items() if "/v1/" in path}
    for op in GATES:
        if names and op.name not in names:
            continue
        for what, example in scaled(op):
            if time.monotonic() > end:
                return
            try:
                requests = list(bodies(op, example))
            except (EngineError, ValueError, IndexError, np.linalg.LinAlgError):
                continue  # this length is not free
            for endpoint, body, elements in requests:
                taken = measured(f"{endpoint} of {what}", known[endpoint], body, elements, context)
                if taken is not None:
                    yield taken


def measured(
    name: str, operation: Any, body: dict[str, Any], elements: int, context: Context
) -> Taken | None:
    """One request, executed; None where it is refused."""
    text = json.dumps(body).encode()
    control = Control(10.0)
    try:
        started = time.thread_time()
        prepared = operation.parse(text, context, True)
        parsing = time.thread_time() - started
        tracemalloc.start()
        prepared.execute(control)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # Once more without the watch, which makes everything slower.
        prepared = operation.parse(text, context, True)
        started = time.thread_time()
        prepared.execute(control)
        seconds = time.thread_time() - started
    except EngineError:
        return None
    finally:
        tracemalloc.stop()
    cost = prepared.cost
    inline = cost.flops <= INLINE and len(text) <= Settings.defaults().inline_body_bytes
    if inline:
        seconds = max(seconds, parsing)
    held = 8 * elements + cost.output_bytes + 4 * len(text)
    return Taken(
        name,
        seconds,
        max(0.0, seconds - GRANTED_SECONDS) / (cost.flops * 1e-9),
        max(0, peak - GRANTED_BYTES) / held,
        inline,
    )


def worst(found: list[Taken], count: int = 8) -> str:
    """The worst ratios, as text."""
    lines = [f"{len(found)} requests; allowed: {TIMES:g} times the time, {MEMORY:g} the memory"]
    for kind in ("time", "memory"):
        lines.append(f"{kind}:")
        ordered = sorted(found, key=lambda one: -getattr(one, kind))[:count]
        lines += [f"{getattr(one, kind):8.2f} {one.seconds:7.3f} s  {one.name}" for one in ordered]
    inline = max((one.seconds for one in found if one.inline), default=0.0)
    lines.append(f"longest on the event loop: {inline * 1e3:.1f} ms")
    return "\n".join(lines)


def excess(found: list[Taken]) -> list[Taken]:
    """Those that took more than they may."""
    return [
        one
        for one in found
        if one.time > TIMES or one.memory > MEMORY or (one.inline and one.seconds > LOOP_SECONDS)
    ]


def main() -> int:
    """Audit and print; 1 when something took more than it may."""
    found = list(audit(sys.argv[1:], float(os.environ.get("SECONDS", "inf"))))
    print(worst(found))
    for one in excess(found):
        print("over:", one)
    return 1 if excess(found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
