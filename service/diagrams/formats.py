"""The circuit in formats that other tools read: DOT, Mermaid, node-link JSON."""

from __future__ import annotations

import re
from typing import Any

from service.diagrams.circuit import Circuit, Edge, Node, Wire
from service.diagrams.numbers import plain
from service.diagrams.style import LIGHT, shape_text


def dot(circuit: Circuit) -> str:
    """Graphviz's language. Parallel edges stay apart: the graph isn't strict."""
    lines = [
        f"digraph {_quoted(circuit.title)} {{",
        "  rankdir=LR;",
        '  node [fontname="Helvetica"];',
        '  edge [fontname="Helvetica", fontsize=11, arrowsize=0.6];',
    ]
    for node in circuit.nodes:
        if node.kind in ("gate", "group"):
            shape = "circle" if len(node.label) <= 3 else "box"
            more = ', style="rounded"' if shape == "box" else ""
            named = f", xlabel={_quoted(node.caption)}" if node.caption else ""
            lines.append(
                f"  {_quoted(node.id)} [label={_quoted(node.label)}, shape={shape}{more}{named}];"
            )
        else:
            lines.append(
                f"  {_quoted(node.id)} [label=<<b>{_html(node.label)}</b>>, shape=plaintext];"
            )
    for edge in circuit.edges:
        wire = _wire(circuit, edge)
        lines.append(
            f"  {_quoted(edge.source)} -> {_quoted(edge.target)} "
            f"[label={_dot_label(wire, edge.gradient)}];"
        )
    for place, (name, output) in enumerate(circuit.outputs):
        wire = circuit.node(name).wires[output]
        end = _quoted(f"output {place}: {name}")
        lines.append(f'  {end} [label="", shape=point, width=0.01];')
        lines.append(f"  {_quoted(name)} -> {end} [label={_dot_label(wire, wire.gradient)}];")
    return "\n".join([*lines, "}", ""])


def _dot_label(wire: Wire, gradient: str | None) -> str:
    parts = []
    if wire.shape:
        parts.append(f'<font color="{LIGHT["muted"]}">{_html(shape_text(wire.shape))}</font>')
    if wire.value is not None:
        parts.append(f'<font color="{LIGHT["value"]}">{_html(wire.value)}</font>')
    if gradient is not None:
        parts.append(f'<font color="{LIGHT["gradient"]}"><i>{_html(gradient)}</i></font>')
    return f"<{'<br/>'.join(parts)}>" if parts else '""'


def mermaid(circuit: Circuit) -> str:
    """A Mermaid flowchart, which GitHub and many wikis draw."""
    number = {node.id: f"n{place}" for place, node in enumerate(circuit.nodes)}
    lines = ["flowchart LR"]
    for node in circuit.nodes:
        label = _escaped(node.label + (f" {node.caption}" if node.caption else ""))
        left, right = {"gate": ("((", "))"), "group": ("[[", "]]")}.get(node.kind, ("[", "]"))
        lines.append(f'  {number[node.id]}{left}"{label}"{right}')
    for edge in circuit.edges:
        wire = _wire(circuit, edge)
        label = _mermaid_label(wire, edge.gradient)
        lines.append(f"  {number[edge.source]} -->{label} {number[edge.target]}")
    for place, (name, output) in enumerate(circuit.outputs):
        wire = circuit.node(name).wires[output]
        label = _mermaid_label(wire, wire.gradient)
        lines.append(f'  {number[name]} -->{label} out{place}(["{_escaped(name)}"])')
    return "\n".join([*lines, ""])


def _mermaid_label(wire: Wire, gradient: str | None) -> str:
    parts = [shape_text(wire.shape)] if wire.shape else []
    if wire.value is not None:
        parts.append(wire.value)
    if gradient is not None:
        parts.append(f"∇ {gradient}")
    return f'|"{_escaped("<br/>".join(parts))}"|' if parts else ""


def node_link(circuit: Circuit) -> dict[str, Any]:
    """Node-link JSON, as NetworkX reads it: a directed multigraph, edges keyed by input."""
    return {
        "directed": True,
        "multigraph": True,
        "graph": {
            "title": circuit.title,
            "outputs": [name if not k else f"{name}.{k}" for name, k in circuit.outputs],
            **({"note": circuit.note} if circuit.note else {}),
        },
        "nodes": [_node_json(node) for node in circuit.nodes],
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "key": edge.input_index,
                "input_index": edge.input_index,
                "output_index": edge.output,
                "value": plain(_wire(circuit, edge).value),
                "gradient": plain(edge.gradient),
                "shape": list(_wire(circuit, edge).shape),
                "count": edge.count,
            }
            for edge in circuit.edges
        ],
    }


def _node_json(node: Node) -> dict[str, Any]:
    wire = node.wires[0]
    return {
        "id": node.id,
        "kind": node.kind,
        "op": node.op,
        "label": node.label,
        "value": plain(wire.value),
        "gradient": plain(wire.gradient),
        "shape": list(wire.shape),
        "count": node.count,
    }


def _wire(circuit: Circuit, edge: Edge) -> Wire:
    return circuit.node(edge.source).wires[edge.output]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_SPECIAL = re.compile(r"[#\"&;`{}\[\]|\\]|<(?!br/>)")


def _escaped(text: str) -> str:
    """`text` inside Mermaid's quotes: entities by number for what it would read itself."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text).replace("\n", " ")
