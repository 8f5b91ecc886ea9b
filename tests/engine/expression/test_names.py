"""Names that are assigned again, and names that look alike."""

from __future__ import annotations

import json

import pytest

from service.engine.errors import GraphError
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for
from service.routes.explain import router
from service.wire.context import Context
from tests.routes.test_compute import ask

EXPLAIN = next(one for one in router.operations if one.name == "explain")
STATES = "h = np.tanh(x @ W)\nh = np.tanh(h @ W)\nh = np.tanh(h @ W)\nh.sum()"
INPUTS = {"x": [0.1, 0.2], "W": [[0.1, 0.2], [0.3, 0.4]]}


def test_every_assignment_of_a_name_is_shown_by_its_number() -> None:
    answer = ask(
        "gradient", graph={"expression": STATES}, inputs=INPUTS, values="all", node_gradients=True
    )
    assert {"h_1", "h_2", "h"} <= set(answer["values"])
    assert {"h_1", "h_2", "h"} <= set(answer["node_gradients"])


def test_an_input_that_is_assigned_again_keeps_its_name_in_the_gradients() -> None:
    answer = ask(
        "gradient",
        graph={"expression": "x = x * 2\nx = x * 3\nx"},
        inputs={"x": 3.0},
        node_gradients=True,
    )
    assert answer["output"] == "x"
    assert answer["values"] == {"x_0": 3.0, "x_1": 6.0, "x": 18.0}
    assert answer["node_gradients"] == {"x_0": 6.0, "x_1": 3.0, "x": 1.0}
    assert answer["gradients"] == {"x": 6.0}


@pytest.mark.parametrize("name", ["x", "h", "x_0", "h_1"])
def test_every_version_can_be_asked_for(name: str) -> None:
    text = "h = x * 2\nh = h * 3\nx = x * 5\nx + h"
    graph = resolve(parse_expression(text))
    values = ask("forward", graph={"expression": text}, inputs={"x": 1.0}, values="all")
    program = program_for(graph, {"x": 1.0}, "float64")
    assert graph.find(name) in program.graph.index
    expected = {"x": 5.0, "h": 6.0, "x_0": 1.0, "h_1": 2.0}
    assert values["values"][name] == expected[name]
    if name != "x_0":
        derived = ask("jacobian", graph={"expression": text}, inputs={"x": 1.0}, outputs=[name])
        assert derived["outputs"] == {name: expected[name]}


def test_staged_code_runs_with_a_name_for_every_assignment() -> None:
    body = json.dumps({"graph": {"expression": STATES}, "inputs": INPUTS}).encode()
    answer = json.loads(EXPLAIN.compute(body, Context()))
    assert [step["node"] for step in answer["forward"] if step["node"][0] == "h"] == [
        "h_1",
        "h_2",
        "h",
    ]


def test_an_error_says_where_the_assignment_stands() -> None:
    text = "h = x @ W\nh = h @ x\nh = h @ W"
    with pytest.raises(GraphError) as caught:
        ask("forward", {"expression": text}, inputs=INPUTS)
    assert (caught.value.faults[0].line, caught.value.faults[0].column) == (3, 5)


@pytest.mark.parametrize(
    ("written", "given"),
    [
        ("µ * 2", "u"),
        ("\N{GREEK SMALL LETTER MU} * 2", "m"),
        ("\N{CYRILLIC SMALL LETTER A} * 2", "a"),
    ],
)
def test_glyphs_that_look_alike_are_named(written: str, given: str) -> None:
    given = {"u": "\N{GREEK SMALL LETTER MU}", "m": "\N{MICRO SIGN}", "a": "a"}[given]
    graph = resolve(parse_expression(written))
    try:
        program_for(graph, {given: 1.0}, "float64")
    except GraphError as error:
        hints = [fault.hint or "" for fault in error.faults]
        assert any("look alike" in hint and "U+" in hint for hint in hints), hints
    else:
        assert given in graph.inputs
