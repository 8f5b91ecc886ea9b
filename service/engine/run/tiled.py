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
from functools import cache, partial
from operator import itemgetter
from typing import Any

import numpy as np

from service.engine.code import Code, Step
from service.engine.control import Control
from service.engine.namespaces import ARRAYS
from service.engine.program import Program
from service.engine.registry import REGISTRY
from service.engine.run.forward import last_readers
from service.engine.trace import Builder
from service.engine.transform import finished, replay, trace_pull_back

BLOCK = 16_384
"""Points in a block: enough for the interpreter's part to be small, few enough for the cache."""
THREADED_BLOCK = 50_000
"""The most of them on several threads, which wait for the interpreter at every call."""
_LEAST_SHARE = 20_000
"""Points of a thread from which on it repays those waits."""
_POWERS: dict[float, np.ufunc] = {2.0: np.square, 0.5: np.sqrt, -1.0: np.reciprocal}

_Take = Callable[[Sequence[Any]], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Blocked:
    """Code planned for blocks.

    A block works on one list of operands: the leaves, then the literals, then the buffers,
    then the results. A call is a function and what picks its inputs and its output, which
    come from that list.
    """

    leaves: tuple[str, ...]
    literals: tuple[float, ...]
    buffers: int
    results: tuple[str, ...]
    calls: tuple[tuple[Callable[..., Any], _Take], ...]
    copies: tuple[tuple[int, int], ...]
    """(from, to): a result that is a leaf, a literal or another result too."""


def plan(
    program: Program, output: str, targets: Sequence[str], seed: float, named: Sequence[str]
) -> Blocked:
    """The plan for value `y`, gradients `d NAME` and named values `v NAME` of a scalar program."""
    key = ("blocked", output, tuple(targets), seed, tuple(named))
    known: Blocked | None = program.derived.get(key)
    if known is None:
        known = _plan(program, output, targets, seed, named)
        program.derived.put(key, known, 500 * len(known.calls))
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
    return _allocated(finished(builder, results, program.limits), tuple(results))


def _allocated(code: Code, results: tuple[str, ...]) -> Blocked:
    """A place for every value; a step whose value is a result has it there."""
    leaves = tuple(code.inputs)
    literals = {
        slot: float(step.value) for slot, step in enumerate(code.steps) if step.value is not None
    }
    places: dict[int, int] = {code.inputs[name]: place for place, name in enumerate(leaves)}
    places.update({slot: len(leaves) + i for i, slot in enumerate(literals)})
    # The results stand behind the buffers, whose number is not known yet: from -1 down.
    copies = []
    for i, name in enumerate(results):
        slot = code.names[name]
        if slot in places:
            copies.append((places[slot], i - len(results)))
        else:
            places[slot] = i - len(results)
    first = len(leaves) + len(literals)
    buffers = 0
    free: list[int] = []
    held: set[int] = set()
    calls: list[tuple[Callable[..., Any], _Take]] = []
    dying = last_readers(code)
    for slot, step in enumerate(code.steps):
        if step.leaf:
            continue
        function, inputs = _function(step, code)
        sources = [places[source] for source in inputs]
        # An input that dies here may be written over: elementwise functions allow it.
        for source in dying[slot]:
            if source in held:
                held.remove(source)
                free.append(places[source])
        if slot not in places:
            if not free:
                free.append(first + buffers)
                buffers += 1
            places[slot] = free.pop()
            held.add(slot)
        calls.append((function, itemgetter(*sources, places[slot])))
    return Blocked(leaves, tuple(literals.values()), buffers, results, tuple(calls), tuple(copies))


def _function(step: Step, code: Code) -> tuple[Callable[..., Any], tuple[int, ...]]:
    """A function whose last argument is where its result goes, and the slots of the others."""
    op = step.operator
    if op.name == "pow":
        power = code.steps[step.inputs[1]].value
        if power is not None and float(power) in _POWERS:
            return _POWERS[float(power)], step.inputs[:1]
    if isinstance(op.forward, np.ufunc):
        return op.forward, step.inputs
    return partial(_into, partial(ARRAYS.function(op), **step.attrs)), step.inputs


def _into(function: Callable[..., Any], *inputs_and_out: Any) -> None:
    *inputs, out = inputs_and_out
    out[...] = function(*inputs)


def run(
    planned: Blocked,
    leaves: Mapping[str, Any],
    size: int,
    control: Control | None = None,
) -> dict[str, Any]:
    """The results by name, each of length `size`.

    `leaves` are floats, or arrays of length `size`.
    """
    # One piece of memory: of many the system takes some back each time, to clear them anew.
    whole = list(np.empty((len(planned.results), size)))
    given = [leaves[name] for name in planned.leaves]
    shares = size // _LEAST_SHARE
    threads = min(shares, _most_threads()) if shares > 1 else 1
    if threads == 1:
        _run_blocks(planned, given, whole, range(0, size, BLOCK), BLOCK, control)
    else:
        # Blocks of one size, as many for each thread: none waits for another at the end.
        rounds = -(-size // (threads * THREADED_BLOCK))
        length = -(-size // (threads * rounds))
        starts = range(0, size, length)
        parts = [starts[i::threads] for i in range(threads)]
        work = partial(_run_blocks, planned, given, whole, length=length, control=control)
        others = [_pool().submit(work, part) for part in parts[1:]]
        try:
            work(parts[0])
        finally:
            for other in others:
                other.result()
    return dict(zip(planned.results, whole, strict=True))


def _most_threads() -> int:
    return min(os.cpu_count() or 1, 8)


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads beside the caller's own, for all batches together."""
    return ThreadPoolExecutor(_most_threads(), thread_name_prefix="blocks")


# Threads don't go along into a forked process.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _run_blocks(
    planned: Blocked,
    leaves: Sequence[Any],
    whole: Sequence[Any],
    starts: Sequence[int],
    length: int,
    control: Control | None,
) -> None:
    """The blocks of `length` that begin at `starts`, with buffers of this thread's own."""
    size = len(whole[0])
    length = min(size, length)
    buffers = list(np.empty((planned.buffers, length)))
    with np.errstate(all="ignore"):
        for low in starts:
            if control is not None:
                control.check()
            high = min(size, low + length)
            if high - low < length:
                length = high - low
                buffers = [buffer[:length] for buffer in buffers]
            operands = [
                *[leaf[low:high] if isinstance(leaf, np.ndarray) else leaf for leaf in leaves],
                *planned.literals,
                *buffers,
                *[result[low:high] for result in whole],
            ]
            for function, take in planned.calls:
                function(*take(operands))
            for source, target in planned.copies:
                operands[target][...] = operands[source]


def fits(program: Program) -> bool:
    """Whether a program's points can run this way: numbers only, no truth values between."""
    known: bool | None = program.derived.get(fits)
    if known is None:
        known = program.floats and not any(
            step.operator.group in ("comparison", "logic") or not _is_plain(step)
            for step in program.code.steps
        )
        program.derived.put(fits, known, 0)
    return known


def _is_plain(step: Step) -> bool:
    return step.leaf or step.operator is REGISTRY["identity"] or step.operator.elementwise
