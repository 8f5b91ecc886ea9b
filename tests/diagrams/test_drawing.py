"""Pictures: nothing overlaps, nothing is cut off, everything is said and marked."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import numpy as np
import pytest

from service.diagrams import layers
from service.diagrams.build import circuit_of
from service.diagrams.circuit import Circuit, Edge, Node, Wire
from service.diagrams.svg import draw
from service.engine.program import Program
from tests.diagrams import circuits
from tests.diagrams.boxes import SVG, read


@pytest.fixture(params=["library", "plain"], autouse=True)
def arranged_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every picture is drawn with the library for layers, and without it."""
    chosen: str = request.param
    if chosen == "plain":
        monkeypatch.setattr(layers, "_arranged", layers.plain)
    else:
        assert layers._arranged is not layers.plain
    return chosen


@pytest.mark.parametrize("name", circuits.NAMED)
def test_no_label_overlaps_anything_and_nothing_is_cut_off(name: str) -> None:
    drawing = read(draw(circuit_of(circuits.NAMED[name](), {})))
    assert drawing.wires
    assert drawing.texts
    assert drawing.faults() == []


@pytest.mark.parametrize(("nodes", "seed"), [(3, 1), (12, 2), (30, 3), (60, 4), (120, 5), (300, 6)])
def test_graphs_of_any_size_are_free_of_overlaps(nodes: int, seed: int) -> None:
    drawing = read(draw(circuit_of(circuits.random_circuit(nodes, seed), {})))
    assert drawing.faults() == []


def test_the_measure_of_overlap_finds_planted_faults() -> None:
    svg = draw(circuit_of(circuits.product(), {}))
    moved = svg.replace('class="value" x="', 'class="value" x="-', 1)
    assert any("cut off" in fault for fault in read(moved).faults())
    crossed = svg.replace("</svg>", '<g><path d="M0 0C50 150 100 150 300 150"/></g></svg>')
    assert any("crosses" in fault for fault in read(crossed).faults())


def _texts(svg: str, kind: str) -> list[str]:
    return [
        "".join(item.itertext())
        for item in ElementTree.fromstring(svg).iter(f"{SVG}text")
        if item.attrib["class"] == kind
    ]


def test_the_product_shows_the_notes_numbers() -> None:
    svg = draw(circuit_of(circuits.product(), {}))
    assert sorted(_texts(svg, "value")[:-1]) == sorted(["−2", "5", "−4", "3", "−12"])
    assert sorted(_texts(svg, "gradient")[:-1]) == sorted(["−4", "−4", "3", "−4", "1"])


def test_the_neuron_shows_the_notes_numbers() -> None:
    svg = draw(circuit_of(circuits.neuron(), {}))
    for value in ("−2", "6", "4", "1", "−1", "0.368", "1.37", "0.731"):
        assert value in _texts(svg, "value")
    for gradient in ("−0.197", "0.393", "−0.393", "−0.590", "0.197", "−0.534"):
        assert gradient in _texts(svg, "gradient")
    symbols = _texts(svg, "ink")
    assert {"×(−1)", "exp", "+1", "1/x", "w0", "x1"} <= set(symbols)


def test_values_stand_above_their_wire_and_gradients_below() -> None:
    root = ElementTree.fromstring(draw(circuit_of(circuits.product(), {})))
    for group in root.iter(f"{SVG}g"):
        if "label" in group.attrib.get("class", ""):
            height = {t.attrib["class"]: float(t.attrib["y"]) for t in group.iter(f"{SVG}text")}
            if {"value", "gradient"} <= set(height):
                assert height["value"] < height["gradient"]


def test_a_branching_wire_shows_what_flows_back_along_each_branch() -> None:
    program = circuits.program({"x": 3.0}, ("f", "multiply", "x", "x"))
    svg = draw(circuit_of(program, {}))
    branches = [
        (group.attrib["data-input-index"], "".join(group.itertext()))
        for group in ElementTree.fromstring(svg).iter(f"{SVG}g")
        if "branch" in group.attrib.get("class", "")
    ]
    assert [index for index, _ in branches] == ["0", "1"]
    assert all(words.endswith("3") for _, words in branches)
    assert "6" in _texts(svg, "gradient")


def test_tensor_wires_carry_their_shapes() -> None:
    svg = draw(circuit_of(circuits.network(), {}))
    assert {"4×3", "5", "4×5", "4×2"} <= set(_texts(svg, "muted"))


def test_the_drawing_is_said_to_those_who_do_not_see_it() -> None:
    root = ElementTree.fromstring(draw(circuit_of(circuits.product(), {})))
    assert root.attrib["role"] == "img"
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert desc is not None
    assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {desc.attrib['id']}"
    assert title.text == "Computation graph of f"
    assert "q is 3, its gradient −4." in (desc.text or "")


def test_gates_and_wires_say_what_they_belong_to() -> None:
    root = ElementTree.fromstring(draw(circuit_of(circuits.product(), {})))
    nodes = {g.attrib["data-node"] for g in root.iter(f"{SVG}g") if "data-node" in g.attrib}
    assert nodes == {"x", "y", "z", "q", "f"}
    wires = {
        (p.attrib["data-source"], p.attrib.get("data-target"), p.attrib.get("data-input-index"))
        for p in root.iter(f"{SVG}path")
    }
    assert {("x", "q", "0"), ("y", "q", "1"), ("q", "f", "0"), ("z", "f", "1")} <= wires


def test_hostile_names_stay_text() -> None:
    name = '<script>alert("x")</script>&\x00'
    program = circuits.program({name: 1.0}, ("f", "exp", name))
    root = ElementTree.fromstring(draw(circuit_of(program, {})))
    assert not list(root.iter(f"{SVG}script"))


@pytest.mark.parametrize("make", [circuits.staged, lambda: circuits.random_circuit(200)])
def test_the_same_graph_gives_the_same_bytes(make: Callable[[], Program]) -> None:
    first = draw(circuit_of(make(), {}))
    assert all(draw(circuit_of(make(), {})) == first for _ in range(5))


def test_a_large_graph_is_summarised() -> None:
    circuit = circuit_of(circuits.random_circuit(3000), {})
    assert len(circuit.nodes) <= 160
    assert sum(node.count for node in circuit.nodes) == 3000
    assert "3,000 nodes" in circuit.note
    assert read(draw(circuit)).faults() == []


def test_a_wide_graph_is_summarised_by_operator_and_depth() -> None:
    rows: list[circuits.Row] = [(f"s{i}", "sigmoid", f"x{i}") for i in range(400)]
    rows += [(f"p{i}", "multiply", f"s{i}", f"s{i + 1}") for i in range(399)]
    program = circuits.program(
        {f"x{i}": 0.1 * i for i in range(400)},
        *rows,
        output=[f"p{i}" for i in range(399)],
    )
    circuit = circuit_of(program, {})
    assert {node.label for node in circuit.nodes} == {"400 inputs", "400 σ", "399 ×"}
    assert read(draw(circuit)).faults() == []


def test_a_circuit_without_values_has_none() -> None:
    circuit = circuit_of(circuits.product(), {}, gradients=False)
    svg = draw(circuit)
    assert "3" in _texts(svg, "value")
    assert _texts(svg, "gradient") == []


def test_a_tensor_output_is_differentiated_as_its_sum() -> None:
    program = circuits.program({"x": np.array([1.0, 2.0])}, ("y", "square", "x"))
    circuit = circuit_of(program, {})
    assert circuit.node("x").wires[0].gradient == "[2, 4]"
    assert "sum(y)" in circuit.note


def test_circuits_can_be_drawn_without_the_engine() -> None:
    circuit = Circuit(
        (
            Node("a", "a", "input", wires=(Wire("1.00", "2.00"),)),
            Node("b", "exp", wires=(Wire("2.72", "1.00"),)),
        ),
        (Edge("a", "b", 0),),
        (("b", 0),),
    )
    assert read(draw(circuit)).faults() == []
