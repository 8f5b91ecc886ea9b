"""DOT, Mermaid and node-link JSON hold every edge and survive any name."""

from __future__ import annotations

import json
import re

from service.diagrams.build import circuit_of
from service.diagrams.formats import dot, mermaid, node_link
from tests.diagrams import circuits


def test_node_link_keeps_both_edges_of_a_square() -> None:
    program = circuits.program({"x": 3.0}, ("f", "multiply", "x", "x"))
    data = node_link(circuit_of(program, {}))
    assert data["multigraph"] is True
    assert [(e["source"], e["target"], e["input_index"]) for e in data["edges"]] == [
        ("x", "f", 0),
        ("x", "f", 1),
    ]
    assert [e["gradient"] for e in data["edges"]] == ["3", "3"]
    json.dumps(data)


def test_dot_has_every_node_and_edge() -> None:
    text = dot(circuit_of(circuits.staged(), {}))
    assert text.startswith("digraph ")
    assert text.count("->") == 12 + 1
    assert '"x" -> "sigx"' in text


def test_dot_quotes_names_and_labels() -> None:
    program = circuits.program({'a"b\\<c>': 1.0}, ("f", "exp", 'a"b\\<c>'))
    text = dot(circuit_of(program, {}))
    assert '"a\\"b\\\\<c>" ->' in text
    assert "<b>a&quot;" not in text
    assert "&lt;c&gt;</b>" in text


def test_mermaid_gives_each_node_an_id_of_its_own() -> None:
    text = mermaid(circuit_of(circuits.neuron(), {}))
    assert text.startswith("flowchart LR\n")
    declared = re.findall(r"^  (n\d+)[\[(]", text, re.MULTILINE)
    assert len(declared) == len(set(declared)) == 13
    assert "2<br/>∇ −0.197" in text


def test_mermaid_escapes_what_it_would_read() -> None:
    program = circuits.program({'end"; click x': 1.0}, ("f", "exp", 'end"; click x'))
    line = mermaid(circuit_of(program, {})).splitlines()[1]
    assert line == '  n0["end#34;#59; click x"]'
