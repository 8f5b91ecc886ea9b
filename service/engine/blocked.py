"""Batches of points through scalar graphs: straight-line ufunc calls on blocks that stay in
cache, into buffers that are used again.

The gradient is traced to code once, so that value and gradients are one run of equal
steps made once. A buffer is free as soon as the last reader of its value is done; what
is asked for is written where it is wanted. Large batches run on as many threads as there
are cores; every point's numbers are the same however the points are cut up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from service.engine.code import Code, Step
from service.engine.control import Control
from service.engine.forward import last_readers
from service.engine.namespaces import ARRAYS
from service.engine.program import Program
from service.engine.registry import REGISTRY
from service.engine.trace import Builder
from service.engine.transform import finished, replay, trace_pull_back

BLOCK, THREADED_BLOCK = 8_192, 32_768
"""Points in a block on one thread; and on several, which wait for the interpreter's lock."""
_THREADED = 1 << 16
"""Points from which on a second thread repays that lock."""
_POWERS: dict[float, np.ufunc] = {2.0: np.square, 0.5: np.sqrt, -1.0: np.reciprocal}


@dataclass(frozen=True, slots=True)
class _Call:
    """`function(*inputs, out)`: inputs are slots, or numbers where `constants` says so."""

    function: Callable[..., Any]
    inputs: tuple[tuple[bool, Any], ...]
    slot: int
    buffer: int | None
    result: str | None


@dataclass(frozen=True, slots=True)
class Blocked:
    """Code planned for blocks: `calls` in order, `buffers` the number of buffers they share.

    `leaves` name → slot; `uniform` the results that no batched input reaches.
    """

    calls: tuple[_Call, ...]
    buffers: int
    leaves: dict[str, int]
    copies: tuple[tuple[str, bool, Any], ...]


def plan(
    program: Program, output: str, targets: Sequence[str], seed: float, named: Sequence[str]
) -> Blocked:
    """The plan for value, gradients and named values of a scalar program."""
    key = ("blocked", output, tuple(targets), seed, tuple(named))
    known: Blocked | None = program.derived.get(key)
    if known is None:
        known = program.derived[key] = _plan(program, output, targets, seed, named)
    return known


def _plan(
    program: Program, output: str, targets: Sequence[str], seed: float, named: Sequence[str]
) -> Blocked:
    builder = Builder(share=True, limits=program.limits)
    values = replay(builder, program.code)
    slot = program.slot(output)
    wanted = [program.slot(name) for name in targets]
    found = trace_pull_back(builder, program.code, values, {slot: builder.literal(seed)}, wanted)
    results = {f"d {name}": made for name, made in zip(targets, found, strict=True)}
    results["y"] = values[slot]
    results.update({f"v {name}": values[program.slot(name)] for name in named})
    return _allocated(finished(builder, results, program.limits), list(results))


def _allocated(code: Code, results: Sequence[str]) -> Blocked:
    """Calls with their buffers; a step whose value is a result writes it there."""
    goes_to: dict[int, str] = {}
    copies = []
    for name in results:
        slot = code.names[name]
        step = code.steps[slot]
        if step.leaf:
            copies.append(
                (name, step.value is not None, step.value if step.value is not None else slot)
            )
        elif slot in goes_to:
            copies.append((name, False, slot))
        else:
            goes_to[slot] = name
    dying = last_readers(code)
    free: list[int] = []
    held: dict[int, int] = {}
    calls = []
    buffers = 0
    for slot, step in enumerate(code.steps):
        if step.leaf:
            continue
        inputs = tuple(
            (True, float(code.steps[source].value))
            if code.steps[source].value is not None
            else (False, source)
            for source in step.inputs
        )
        result = goes_to.get(slot)
        buffer = None
        if result is None:
            if not free:
                free.append(buffers)
                buffers += 1
            buffer = held[slot] = free.pop()
        calls.append(_Call(*_function(step, inputs), slot, buffer, result))
        free.extend(held.pop(source) for source in dying[slot] if source in held)
    leaves = dict(code.inputs)
    return Blocked(tuple(calls), buffers, leaves, tuple(copies))


def _function(
    step: Step, inputs: tuple[tuple[bool, Any], ...]
) -> tuple[Callable[..., Any], tuple[tuple[bool, Any], ...]]:
    """A function that takes `out`, and its inputs."""
    op = step.operator
    if op.name == "pow" and inputs[1][0] and inputs[1][1] in _POWERS:
        return _POWERS[inputs[1][1]], inputs[:1]
    if isinstance(op.forward, np.ufunc):
        return op.forward, inputs
    return partial(_into, partial(ARRAYS.function(op), **step.attrs)), inputs


def _into(function: Callable[..., Any], *inputs: Any, out: Any) -> Any:
    out[...] = function(*inputs)
    return out


def run(
    planned: Blocked,
    leaves: Mapping[str, Any],
    size: int,
    control: Control | None = None,
) -> dict[str, Any]:
    """The results by name, each of length `size`.

    `leaves` are floats, or arrays of length `size`.
    """
    names = [call.result for call in planned.calls if call.result is not None]
    names += [name for name, _, _ in planned.copies]
    whole = {name: np.empty(size) for name in names}
    threads = min(os.cpu_count() or 1, 8) if size >= _THREADED else 1
    length = min(size, BLOCK if threads == 1 else THREADED_BLOCK)
    starts = range(0, size, length)

    def work(part: Sequence[int]) -> None:
        _run_blocks(planned, leaves, whole, size, length, part, control)

    if threads == 1:
        work(starts)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, [starts[i::threads] for i in range(threads)]))
    return whole


def _run_blocks(
    planned: Blocked,
    leaves: Mapping[str, Any],
    whole: Mapping[str, Any],
    size: int,
    length: int,
    starts: Sequence[int],
    control: Control | None,
) -> None:
    """The blocks that begin at `starts`, with buffers of this thread's own."""
    buffers = [np.empty(length) for _ in range(planned.buffers)]
    slots: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        for low in starts:
            if control is not None:
                control.check()
            count = min(size - low, length)
            for name, slot in planned.leaves.items():
                leaf = leaves[name]
                slots[slot] = leaf[low : low + count] if isinstance(leaf, np.ndarray) else leaf
            for call in planned.calls:
                if call.result is not None:
                    out = whole[call.result][low : low + count]
                else:
                    out = buffers[call.buffer][:count]  # type: ignore[index]
                slots[call.slot] = call.function(
                    *[value if fixed else slots[value] for fixed, value in call.inputs], out=out
                )
            for name, fixed, value in planned.copies:
                whole[name][low : low + count] = value if fixed else slots[value]


def fits(program: Program) -> bool:
    """Whether a program's points can run this way: numbers only, no truth values between."""
    return program.floats and not any(
        step.operator.group in ("comparison", "logic") or not _is_plain(step)
        for step in program.code.steps
    )


def _is_plain(step: Step) -> bool:
    return step.leaf or step.operator is REGISTRY["identity"] or step.operator.elementwise
