"""Code for derivatives of every mode, traced once per program from the one set of rules.

A vjp is one backward sweep. A jvp is the vjp of the vjp, which is linear in its cotangent;
a Hessian-vector product is the jvp of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from service.engine.code import Code
from service.engine.control import Control
from service.engine.program import Program
from service.engine.trace import Builder, Traced
from service.engine.transform import finished, replay, stand_ins, trace_pull_back


# Inputs that a transformation adds are told from the graph's own by a prefix that no id has.
def cotangent_of(name: str) -> str:
    return f"\0cotangent {name}"


def tangent_of(name: str) -> str:
    return f"\0tangent {name}"


def _derived(program: Program, key: Any, make: Callable[[], Code]) -> Code:
    """Code made once per program."""
    code: Code | None = program.derived.get(key)
    if code is None:
        code = make()
        program.derived.put(key, code, code.nbytes)
    return code


def _builder(program: Program, control: Control | None) -> Builder:
    return Builder(program.dtype, share=True, limits=program.limits, control=control, derived=True)


def vjp_code(
    program: Program, outputs: Sequence[str], wrt: Sequence[str], control: Control | None = None
) -> Code:
    """Code for the outputs and, of cotangent inputs, the gradients (named `d NAME`)."""

    def make() -> Code:
        builder = _builder(program, control)
        values = replay(builder, program.code)
        cotangents: dict[int, Traced] = {}
        for name in outputs:
            slot = program.slot(name)
            made = builder.input(cotangent_of(name), program.code.steps[slot].spec)
            cotangents[slot] = cotangents[slot] + made if slot in cotangents else made
        wanted = [program.slot(name) for name in wrt]
        found = trace_pull_back(builder, program.code, values, cotangents, wanted)
        results = {f"d {name}": made for name, made in zip(wrt, found, strict=True)}
        results.update({f"y {name}": values[program.slot(name)] for name in outputs})
        return finished(builder, results, program.limits)

    return _derived(program, ("vjp", tuple(outputs), tuple(wrt)), make)


def jvp_code(
    program: Program, outputs: Sequence[str], moved: Sequence[str], control: Control | None = None
) -> Code:
    """Code for the outputs and, of tangent inputs, their tangents (`t name`)."""

    def make() -> Code:
        builder = _builder(program, control)
        values = replay(builder, program.code)
        cotangents: dict[int, Traced] = {}
        places = []
        for number, name in enumerate(outputs):
            slot = program.slot(name)
            made = builder.input(cotangent_of(f"{number}"), program.code.steps[slot].spec)
            places.append(made.slot)
            cotangents[slot] = cotangents[slot] + made if slot in cotangents else made
        wanted = [program.slot(name) for name in moved]
        found = trace_pull_back(builder, program.code, values, cotangents, wanted)
        tangents = _seeds(builder, found, moved, program)
        tangent_of = trace_pull_back(builder, builder.code, stand_ins(builder), tangents, places)
        results = {f"t {name}": made for name, made in zip(outputs, tangent_of, strict=True)}
        results.update({f"y {name}": values[program.slot(name)] for name in outputs})
        return finished(builder, results, program.limits)

    return _derived(program, ("jvp", tuple(outputs), tuple(moved)), make)


def hvp_code(
    program: Program, output: str, wrt: Sequence[str], control: Control | None = None
) -> Code:
    """Code for value, gradients and, of tangent inputs, Hessian-vector products (`h name`)."""

    def make() -> Code:
        builder = _builder(program, control)
        values = replay(builder, program.code)
        slot = program.slot(output)
        one = builder.literal(1.0, program.code.steps[slot].spec.dtype)
        wanted = [program.slot(name) for name in wrt]
        gradients = trace_pull_back(builder, program.code, values, {slot: one}, wanted)
        tangents = _seeds(builder, gradients, wrt, program)
        inputs = [values[place].slot for place in wanted]
        products = trace_pull_back(builder, builder.code, stand_ins(builder), tangents, inputs)
        results = {f"h {name}": made for name, made in zip(wrt, products, strict=True)}
        results.update({f"d {name}": made for name, made in zip(wrt, gradients, strict=True)})
        results["y"] = values[slot]
        return finished(builder, results, program.limits)

    return _derived(program, ("hvp", output, tuple(wrt)), make)


def _seeds(
    builder: Builder, found: Sequence[Traced], names: Sequence[str], program: Program
) -> dict[int, Traced]:
    """A tangent input per name, as the cotangent of what was found for it.

    Two inputs may have found the same slot: then their tangents add.
    """
    seeds: dict[int, Traced] = {}
    for made, name in zip(found, names, strict=True):
        tangent = builder.input(tangent_of(name), program.spec(name))
        seeds[made.slot] = seeds[made.slot] + tangent if made.slot in seeds else tangent
    return seeds
