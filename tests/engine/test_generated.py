"""Generated code for small graphs gives what the loops give, to the bit."""

import math
import random
import struct

import pytest

from service.engine.compute import gradient
from service.engine.errors import GraphError
from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.program import Program, program_for
from service.engine.run.generated import MOST_NODES, OFTEN, straight, written

UNARY = ["exp", "sin", "tanh", "sigmoid", "sqrt", "log", "neg", "relu", "square", "reciprocal"]
BINARY = ["add", "sub", "mul", "div", "pow"]
INPUTS = ["a", "b", "c"]


def program_of(nodes: list[tuple[str, list[str | float]]]) -> Program:
    """The program of these nodes n0, n1, … of the inputs a, b, c; the last is the output."""
    ids = INPUTS + [f"n{i}" for i in range(len(nodes))]
    spec = GraphSpec(
        ids=ids,
        ops=["input"] * 3 + [op for op, _ in nodes],
        inputs=[()] * 3 + [inputs for _, inputs in nodes],
        leaves={i: Leaf("input", 1.5) for i in range(3)},
        output=ids[-1],
    )
    return program_for(resolve(spec), {})


def test_a_truth_value_is_refused_however_often() -> None:
    program = program_of([("less", ["a", "b"])])
    for _ in range(OFTEN + 3):
        with pytest.raises(GraphError, match="bool"):
            gradient(program, {})


def drawn(seed: int) -> Program:
    """A random graph of up to 30 nodes, with literals and with nodes read twice."""
    chance = random.Random(seed)
    nodes: list[tuple[str, list[str | float]]] = []
    names = list(INPUTS)
    for i in range(chance.randrange(1, 30)):
        unary = chance.random() < 0.4
        op = chance.choice(UNARY if unary else BINARY)
        inputs: list[str | float] = [chance.choice(names[-6:]) for _ in range(1 if unary else 2)]
        if not unary and chance.random() < 0.2:
            inputs[chance.randrange(2)] = chance.choice([2.0, -0.5, 3.0])
        nodes.append((op, inputs))
        names.append(f"n{i}")
    return program_of(nodes)


def bits(*numbers: float) -> list[bytes]:
    return [b"nan" if math.isnan(x) else struct.pack("d", x) for x in numbers]


@pytest.mark.parametrize("seed", range(150))
def test_the_same_bits_as_the_loops(seed: int) -> None:
    program, chance = drawn(seed), random.Random(seed)
    points = [dict.fromkeys(INPUTS, 0.0), dict.fromkeys(INPUTS, 1e200)]
    points += [{name: chance.uniform(-3, 3) for name in INPUTS} for _ in range(5)]
    before = [gradient(program, point) for point in points]
    for _ in range(OFTEN + 1):
        gradient(program, {})
    after = [gradient(program, point) for point in points]
    for one, other in zip(before, after, strict=True):
        assert one.warnings == other.warnings
        assert one.values is not None
        assert other.values is not None
        assert list(one.values) == list(other.values)
        assert bits(*one.values.values()) == bits(*other.values.values())
        assert one.gradients.keys() == other.gradients.keys()
        assert bits(*one.gradients.values()) == bits(*other.gradients.values())
        assert (one.output, bits(one.value)) == (other.output, bits(other.value))


def test_a_small_graph_is_written_out_once_it_has_come_often() -> None:
    program = program_of([("add", ["a", "b"]), ("mul", ["n0", "c"])])
    for _ in range(OFTEN):
        assert straight(program).run(program, {}) is None
    assert straight(program).run(program, {}) == (
        (1.5, 1.5, 1.5, 3.0, 4.5),
        (1.5, 1.5, 3.0),
    )


def test_a_large_graph_stays_with_the_loops() -> None:
    program = program_of([("add", ["a", "b"])] * (MOST_NODES + 1))
    for _ in range(OFTEN + 5):
        gradient(program, {})
    assert straight(program).run(program, {}) is None


def test_operators_with_attributes_are_written_out() -> None:
    assert written(program_of([("maximum", ["a", "b"])]))({}) == ((1.5,) * 4, (0.5, 0.5, 0.0))


def test_names_are_no_code() -> None:
    ids = ["__import__('os')", "f\n raise", "x"]
    spec = GraphSpec(
        ids=ids,
        ops=["input", "input", "mul"],
        inputs=[(), (), ids[:2]],
        leaves={0: Leaf("input", 2.0), 1: Leaf("input", 3.0)},
    )
    program = program_for(resolve(spec), {})
    for _ in range(OFTEN + 2):
        made = gradient(program, {})
    assert made.gradients == {ids[0]: 3.0, ids[1]: 2.0}
