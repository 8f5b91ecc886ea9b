"""The right formula with the wrong thing in it, or with a factor once too often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from service.engine.gate import Refused
from service.grading.mistakes._facts import EdgeFacts, Wrong

TEXTS = {
    "wrong_operand": "On the way to '{wire}' through '{gate}' ({op}) something else of the right "
    "shape stands where the formula has a value or a gradient: the activation for its input, the "
    "normalised for the given, the weights' gradient for the weights, another step's state.",
    "extra_local": "The gradient of '{wire}' has a local gradient in it once too often, as when "
    "the slope of an activation is multiplied in though the formula before has it already.",
}
WEIGHTS = {"wrong_operand": 6.5, "extra_local": 8.5}
_NEAREST = 6
_READS = {"multiply", "matmul", "divide"}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """Values and gradients of other wires that have the same shape; the slope twice."""
    op = facts.gate.op
    if op.elementwise and op.arity == (1, 1) and np.shape(facts.part) == np.shape(facts.y):
        twice = facts.pull(upstream=[facts.part])
        if twice is not None:
            yield Wrong("extra_local", "twice", twice, "the local gradient twice")
        if op.group == "unary":
            yield from _other_places(facts)
    if op.name == "pow" and facts.index == 0:
        yield from _other_places(facts)
    if op.name in _READS and len(facts.inputs) == 2:
        yield from _other_values(facts)
    if op.name in ("matmul", "add", "multiply") and len(facts.upstream) == 1:
        yield from _other_gradients(facts)


def _other_values(facts: EdgeFacts) -> Iterator[Wrong]:
    """Values in the place of the other operand, named by how far from the gate they are."""
    place = 1 - facts.index
    done, source = facts.done, facts.gate.sources[place]
    shape = np.shape(facts.other)
    if source is None:
        return
    if facts.op == "matmul":
        own = facts.pull(index=place)
        if own is not None and np.shape(own) == shape:
            yield from _put(facts, place, own, "its gradient")
    wires = [w for w in done.circuit.specs if done.circuit.shape(w) == shape and w in done.values]
    for name, wire in _nearest(wires, facts.gate.outputs[0], list(done.circuit.specs)):
        same = facts.op == "multiply" and wire == facts.gate.sources[facts.index]
        if wire != source and not same:
            yield from _put(facts, place, done.values[wire], name)


def _other_places(facts: EdgeFacts) -> Iterator[Wrong]:
    """The slope at the value of another wire."""
    done, shape, source = facts.done, facts.shape, facts.gate.sources[facts.index]
    wires = [w for w in done.circuit.specs if done.circuit.shape(w) == shape and w in done.values]
    for name, wire in _nearest(wires, facts.gate.outputs[0], list(done.circuit.specs)):
        value = done.values[wire]
        if wire in (source, *facts.gate.outputs) or np.asarray(value).dtype.kind != "f":
            continue
        inputs = [value if i == facts.index else x for i, x in enumerate(facts.inputs)]
        try:
            wrong = facts.pull(inputs=inputs, outputs=facts.gate.evaluate(inputs))
        except Refused:
            continue
        if wrong is not None:
            yield Wrong("wrong_operand", f"at {name}", wrong, f"the slope at the value {name}")


def _put(facts: EdgeFacts, place: int, value: Any, name: str) -> Iterator[Wrong]:
    if np.asarray(value).dtype.kind == "f":
        inputs = list(facts.inputs)
        inputs[place] = value
        wrong = facts.pull(inputs=inputs)
        if wrong is not None:
            yield Wrong("wrong_operand", name, wrong, f"with the value {name}")


def _other_gradients(facts: EdgeFacts) -> Iterator[Wrong]:
    """The gradient one step or two further on, where a step was left out for this term alone."""
    done, shape = facts.done, np.shape(facts.y)
    wire, steps = facts.gate.outputs[0], 0
    while steps < 2 and len(readers := done.circuit.readers.get(wire, [])) == 1:
        wire, steps = done.circuit.gates[readers[0][0]].outputs[0], steps + 1
        g = done.held.get(wire)
        if g is not None and np.shape(g) == shape and shape != ():
            wrong = facts.pull(upstream=[g])
            if wrong is not None:
                yield Wrong("wrong_operand", f"gradient {steps} on", wrong, "a later gradient")


def _nearest(wires: Sequence[str], gate: str, order: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The wires by how many of their shape stand between them and the gate."""
    rank = {wire: place for place, wire in enumerate(order)}
    before = [w for w in wires if rank[w] < rank[gate]][::-1]
    after = [w for w in wires if rank[w] >= rank[gate]]
    for side, some in (("before", before), ("after", after)):
        for number, wire in enumerate(some[:_NEAREST], start=1):
            yield f"{side} {number}", wire
