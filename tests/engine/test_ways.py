"""Every way of running a graph of numbers gives the same answers."""

from __future__ import annotations

import math
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.engine.compute import gradient
from service.engine.graph import Graph, resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.operators import REGISTRY
from service.engine.program import program_for
from service.engine.registry import Operator
from service.engine.run import choose, compiled, levelized, native
from service.engine.run.floats import Loops
from service.engine.run.generated import written
from service.engine.run.opcodes import opcodes

TABLE = {REGISTRY.by_code(code).name for code, _ in opcodes().forward}
OPERATORS = [op for op in REGISTRY if op.name in TABLE and op.group not in ("comparison", "logic")]
EXTREMES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.7, 40.0, 1e-300, 1e300, 800.0, -800.0]
EXTREMES += [math.inf, -math.inf, math.nan]


def attributes(op: Operator, rng: random.Random) -> dict[str, Any]:
    """Attributes drawn, or none."""
    if not op.attributes or rng.random() < 0.4:
        return {}
    return {
        name: rng.choice(a.choices) if a.choices else rng.choice([0.75, -0.25])
        for name, a in op.attributes.items()
    }


def drawn(seed: int, count: int, numbers: list[float], operators: list[Operator]) -> Graph:
    """A random graph of these operators on these numbers, literals and attributes among them."""
    rng = random.Random(seed)
    spec = GraphSpec(
        ids=[f"x{i}" for i in range(4)],
        ops=["input"] * 4,
        inputs=[()] * 4,
        leaves={i: Leaf("input", rng.choice(numbers)) for i in range(4)},
        attrs={},
    )

    def source() -> str | float:
        if rng.random() < 0.1:
            return rng.choice(numbers)
        return spec.ids[max(0, len(spec.ids) - 1 - int(rng.expovariate(0.1)))]

    def add(op: str, inputs: list[str | float], attrs: dict[str, Any]) -> None:
        if attrs:
            spec.attrs[len(spec.ids)] = attrs
        spec.ops.append(op)
        spec.inputs.append(inputs)
        spec.ids.append(f"n{len(spec.ids)}")

    while len(spec.ids) < count:
        op = rng.choice(operators)
        inputs: list[str | float] = [source() for _ in range(op.arity[0])]
        if op.name == "where":
            add("less", [source(), source()], {})
            inputs[0] = spec.ids[-1]
        elif not any(isinstance(one, str) for one in inputs):
            inputs[0] = "x0"
        add(op.name, inputs, attributes(op, rng))
    # A truth value is no number: what reads one is its condition alone.
    truths = {name for name, op in zip(spec.ids, spec.ops, strict=True) if op == "less"}
    for op, inputs in zip(spec.ops, spec.inputs, strict=True):
        for place, one in enumerate(inputs):
            if one in truths and not (op == "where" and place == 0):
                inputs[place] = "x1"  # type: ignore[index]
    spec.ops.append("add")
    spec.inputs.append(["x0", "x1"] if spec.ids[-1] in truths else [spec.ids[-1], "x1"])
    spec.ids.append("y")
    spec.output = "y"
    return resolve(spec)


def bits(numbers: Any) -> list[bytes | None]:
    """Numbers by their bits, so that 0.0 differs from -0.0 and NaN equals NaN."""
    return [
        None if x is None else b"nan" if math.isnan(x) else struct.pack("d", x) for x in numbers
    ]


def leaves_of(graph: Graph) -> list[float]:
    return [graph.leaves[position].value for position in sorted(graph.leaves)]


@pytest.mark.parametrize("seed", range(60))
def test_loops_and_machine_code_agree_to_the_bit(seed: int) -> None:
    rng = random.Random(seed)
    numbers = EXTREMES if seed % 2 else [rng.uniform(-2, 2) for _ in range(20)]
    graph = drawn(seed, rng.choice([5, 30, 300]), numbers, OPERATORS)
    plan = compiled.plan_of(graph)
    assert plan is not None
    for position in (graph.index["y"], graph.order[len(graph.order) // 2]):
        if graph.operator(position).name == "less":
            continue
        wanted = Loops(graph).gradient(leaves_of(graph), position, 1.5, None, None)
        found = plan.gradient(leaves_of(graph), position, 1.5, None, None)
        for way, other in zip(wanted, found, strict=True):
            for i, (a, b) in enumerate(zip(way, other, strict=False)):
                assert type(a) is type(b)
                same = bits([a]) == bits([b])
                # Where Python's functions raise, the loops ask NumPy, which may round otherwise.
                assert same or a == pytest.approx(b, rel=1e-13), (i, graph.operator(i).name, a, b)


@pytest.mark.parametrize("seed", range(10))
def test_generated_code_agrees_with_machine_code_to_the_bit(seed: int) -> None:
    graph = drawn(
        seed, 40, [0.3, 0.6, 0.9, 1.2], [REGISTRY[n] for n in ("add", "mul", "sin", "gelu")]
    )
    plan = compiled.plan_of(graph)
    assert plan is not None
    values, gradients = written(program_for(graph, {}))({})
    found = plan.gradient(leaves_of(graph), graph.index["y"], 1.0, None, None)
    assert bits(found[0]) == bits(values)
    assert bits(0.0 if found[1][i] is None else found[1][i] for i in range(4)) == bits(gradients)


@pytest.mark.parametrize("seed", range(6))
def test_levels_agree_with_the_loops(seed: int) -> None:
    names = ("add", "mul", "sub", "maximum", "sin")
    rng = random.Random(seed)
    ids = [f"x{i}" for i in range(400)]
    spec = GraphSpec(
        list(ids),
        ["input"] * 400,
        [()] * 400,
        {},
        {i: Leaf("input", rng.random()) for i in range(400)},
    )
    while len(spec.ids) < 5000:
        op = rng.choice(names)
        inputs = [rng.choice(spec.ids) for _ in range(REGISTRY[op].arity[0])]
        spec.ops.append(op)
        spec.inputs.append(inputs)
        spec.ids.append(f"n{len(spec.ids)}")
    spec.output = spec.ids[-1]
    graph = resolve(spec)
    plan = levelized.plan_of(graph)
    assert plan is not None
    for output in graph.ids[-5:]:
        position = graph.index[output]
        wanted = Loops(graph).gradient(leaves_of(graph), position, 1.0, None, None)
        found = plan.gradient(leaves_of(graph), position, 1.0, None, None)
        np.testing.assert_allclose(list(found[0]), list(wanted[0]), rtol=1e-12)
        slopes = [[0.0 if g is None else g for g in way[1]] for way in (found, wanted)]
        np.testing.assert_allclose(*slopes, rtol=1e-9, atol=1e-13)


def test_the_way_depends_on_the_graph_and_on_what_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add, sin = REGISTRY["add"], REGISTRY["sin"]

    def way(graph: Graph) -> type:
        return type(choose.plan_of(graph))

    for installed in (True, False):
        monkeypatch.setattr(native, "installed", lambda installed=installed: installed)
        assert way(drawn(0, choose.LEAST_COMPILED - 10, [1.0], [add, sin])) is Loops
        expected = compiled.Plan if installed else Loops
        assert way(drawn(0, choose.LEAST_COMPILED + 10, [1.0], [add, sin])) is expected


def test_a_gate_of_many_inputs_goes_another_way() -> None:
    graph = drawn(3, 100, [0.5, 1.5], [REGISTRY["add"]])
    spec = GraphSpec(
        ids=[*graph.ids, "z"],
        ops=["input"] * 4 + ["add"] * (len(graph) - 4) + ["maximum"],
        inputs=[()] * 4
        + [[graph.ids[s] for s in graph.sources(p) if s >= 0] * 2 for p in graph.order],
        leaves=graph.leaves,
        output="z",
    )
    spec.inputs = [one[:2] for one in spec.inputs]
    spec.inputs.append(["x0", "x1", "x2"])
    wide = resolve(spec)
    assert compiled.plan_of(wide) is None
    assert gradient(program_for(wide, {}), {}).value == max(
        wide.leaves[position].value for position in (0, 1, 2)
    )


def test_code_is_kept_and_a_broken_file_is_made_anew(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; import sys; from service.engine.run import choose, loops\n"
        "choose.prepare(Path(sys.argv[1])); print(len(loops.library().functions))"
    )

    def start() -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, tmp_path / "kept"],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert start() == "4"
    (kept,) = (tmp_path / "kept").iterdir()
    content, written_at = kept.read_bytes(), kept.stat().st_mtime_ns
    assert start() == "4"
    assert kept.stat().st_mtime_ns == written_at
    kept.write_bytes(content[:-100])
    assert start() == "4"
    assert kept.read_bytes() == content
    kept.unlink()
    (tmp_path / "kept").rmdir()
    (tmp_path / "kept").write_text("no folder: nothing can be kept")
    assert start() == "4"
