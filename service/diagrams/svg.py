"""A circuit as SVG, in the style of the CS231n note's figures.

Gates are circles, wires run from left to right; above each wire stands the value in
green, below it the gradient in red. Colours are presentation attributes, so that the
picture looks right where style sheets are refused; a style sheet adds dark mode. Every
gate, wire and label says in `data-` attributes what it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from service.diagrams import style, text
from service.diagrams.cells import CELL, FAINTEST, Cells
from service.diagrams.circuit import Circuit
from service.diagrams.layout import (
    Box,
    Layout,
    Route,
    gate_width,
    label_cells,
    label_lines,
    place,
    room,
)
from service.diagrams.summary import MOST_GROUPS, summarised

MOST_VERTICES, MOST_EDGES = 4_000, 1_000
"""Circuits whose layout has more are drawn as a summary: that of so many takes a second."""


def draw(circuit: Circuit) -> str:
    """The SVG document of a circuit; one that is too tangled to be read is summarised."""
    shown, groups = circuit, MOST_GROUPS
    while groups > 3 and (len(shown.edges) > MOST_EDGES or room(shown) > MOST_VERTICES):
        shown = summarised(circuit, groups)
        groups //= 2
    return "".join(_document(shown, place(shown)))


def _document(circuit: Circuit, layout: Layout) -> Iterator[str]:
    legend = _legend(circuit)
    width = max(layout.width, _legend_width(legend) + 2 * style.MARGIN)
    height = layout.height + (style.LEGEND if legend else 0)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="circuit" role="img" '
        f'aria-labelledby="circuit-title circuit-desc" width="{_n(width)}" '
        f'height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}" '
        f"font-family={quoteattr(style.FONT)}>"
        f'<title id="circuit-title">{escape(circuit.title)}</title>'
        f'<desc id="circuit-desc">{escape(_printable(circuit.description))}</desc>'
        f"<style>{_sheet()}</style>"
        f'<rect class="paper" width="100%" height="100%" fill="{style.LIGHT["paper"]}"/>'
    )
    yield '<g class="wires" fill="none" stroke-width="1.4">'
    for route in layout.routes:
        yield _wire(route)
    yield "</g>"
    for box in layout.boxes:
        yield _gate(box) if box.role == "node" else _label(box)
    if legend:
        yield _draw_legend(legend, style.MARGIN, height - style.MARGIN + 2)
    yield "</svg>\n"


def _sheet() -> str:
    """Dark mode, by the reader's preference or by a class on the picture."""
    rules = "".join(
        f"{scope}.ink{{fill:{c['ink']}}}{scope}.muted{{fill:{c['muted']}}}"
        f"{scope}.value{{fill:{c['value']}}}{scope}.gradient{{fill:{c['gradient']}}}"
        f"{scope}.line{{stroke:{c['wire']}}}{scope}.rim{{stroke:{c['ink']};fill:{c['gate']}}}"
        f"{scope}.joint{{fill:{c['wire']}}}{scope}rect.paper{{fill:{c['paper']}}}"
        f"{scope}.dash.ink{{stroke:{c['ink']}}}{scope}.dash.paper{{stroke:{c['paper']}}}"
        f"{scope}.hollow{{stroke:{c['edge']}}}{scope}.broken{{fill:{c['problem']}}}"
        for scope, c in ((".circuit:not(.light) ", style.DARK),)
    )
    forced = rules.replace(":not(.light)", ".dark")
    return f"@media(prefers-color-scheme:dark){{{rules}}}{forced}"


def _wire(route: Route) -> str:
    """One line: level inside layers, a curve between them."""
    (x, y), *rest = route.points
    path = [f"M{_n(x)} {_n(y)}"]
    for px, py in rest:
        if py == y:
            if px != x:
                path.append(f"H{_n(px)}")
        else:
            middle = (x + px) / 2
            path.append(f"C{_n(middle)} {_n(y)} {_n(middle)} {_n(py)} {_n(px)} {_n(py)}")
        x, y = px, py
    label = route.source if route.source.role != "node" else route.target
    return (
        f'<path class="line" stroke="{style.LIGHT["wire"]}"{_data(label)} '
        f'd="{"".join(path)}"/>' + _joint(route)
    )


def _joint(route: Route) -> str:
    """The dot from which the branches of a wire part."""
    if route.source.role == "stem" and route.target.role == "branch":
        x, y = route.source.right, route.source.y
        return (
            f'<circle class="joint" fill="{style.LIGHT["wire"]}" stroke="none" '
            f'cx="{_n(x)}" cy="{_n(y)}" r="2.6"/>'
        )
    return ""


def _data(box: Box) -> str:
    """What a wire or its label belongs to: the driving node, and the edge if it is one."""
    said = f" data-source={_q(box.node.id)}"
    if box.output:
        said += f' data-output="{box.output}"'
    edge = box.edge
    if edge is not None:
        said += f' data-target={_q(edge.target)} data-input-index="{edge.input_index}"'
    return said


def _gate(box: Box) -> str:
    node = box.node
    head = f'<g class="node {node.kind}" data-node={_q(node.id)} data-op={_q(node.op)}>' + (
        f"<title>{escape(_printable(node.tip))}</title>" if node.tip else ""
    )
    if node.kind in ("input", "constant"):
        ink = "ink" if node.kind == "input" else "muted"
        name = _text(box.x, box.y, node.label, style.NAME, ink, named=True, weight="bold")
        return f"{head}{name}</g>"
    half = gate_width(node) / 2
    r = style.RADIUS
    corner = r if node.kind == "gate" else 7.0
    shadow, s = "", style.SHADOW
    if node.kind == "group":
        shadow = _rect(box.x - half + s, box.y - r + s, 2 * half, 2 * r, corner)
    body = (
        f'<circle class="rim" cx="{_n(box.x)}" cy="{_n(box.y)}" r="{_n(r)}" {_rim()}/>'
        if half <= r
        else _rect(box.x - half, box.y - r, 2 * half, 2 * r, corner)
    )
    symbol = _text(box.x, box.y, node.label, style.SYMBOL, "ink")
    caption = ""
    if node.caption:
        y = box.y + r + style.LINE / 2 + 1
        caption = _text(box.x, y, node.caption, style.SMALL, "muted", named=True)
    return f"{head}{shadow}{body}{symbol}{caption}</g>"


def _rim() -> str:
    return f'stroke="{style.LIGHT["ink"]}" stroke-width="1.5" fill="{style.LIGHT["gate"]}"'


def _rect(x: float, y: float, width: float, height: float, corner: float) -> str:
    return (
        f'<rect class="rim" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" '
        f'rx="{_n(corner)}" {_rim()}/>'
    )


def _label(box: Box) -> str:
    """The text on a wire; the shape and the value above it, the gradient below."""
    above, below = label_lines(box)
    high, low = label_cells(box)
    if not above and not below and high is None and low is None:
        return ""
    parts = [f'<g class="label {box.role}"{_data(box)}>']
    tip = box.edge.tip if box.edge is not None else ""
    if tip:
        parts.append(f"<title>{escape(_printable(tip))}</title>")
    top, bottom = box.y - style.CLEAR, box.y + style.CLEAR
    if high is not None and high.rows:
        parts.append(_cells(high, box.x, top - high.height, "value"))
        top -= high.height + style.CLEAR
    if low is not None and low.rows:
        parts.append(_cells(low, box.x, bottom, "gradient"))
        bottom += low.height + style.CLEAR
    for row, line in enumerate(reversed(above)):
        y = top - style.LINE * (row + 0.5) + 1
        shown = box.wire.value is not None and (high is None or bool(high.words))
        kind = "value" if row == 0 and shown else "muted"
        parts.append(_text(box.x, y, line, style.LABEL, kind))
    for row, line in enumerate(below):
        y = bottom + style.LINE * (row + 0.5)
        parts.append(_text(box.x, y, line, style.LABEL, "gradient"))
    parts.append("</g>")
    return "".join(parts)


def _cells(block: Cells, x: float, top: float, kind: str) -> str:
    """A block of cells, centred on `x`."""
    colour, step = style.LIGHT[kind], block.size + block.gap
    left = x - block.width / 2
    parts = [f'<g class="cells {kind}" fill="{colour}">']
    for row, shares in enumerate(block.rows):
        for column, share in enumerate(shares):
            place = f'x="{_n(left + column * step)}" y="{_n(top + row * step)}"'
            size = f'width="{_n(block.size)}" height="{_n(block.size)}"'
            if share != share:
                parts.append(
                    f'<rect class="broken" {place} {size} fill="{style.LIGHT["problem"]}"/>'
                )
            elif share == 0:
                edge = style.LIGHT["edge"] if block.size == CELL else "none"
                parts.append(f'<rect class="hollow" {place} {size} fill="none" stroke="{edge}"/>')
            else:
                strength = FAINTEST + (1 - FAINTEST) * abs(share)
                parts.append(f'<rect {place} {size} fill-opacity="{strength:.2f}"/>')
                if share < 0 and block.size == CELL:
                    ink = "ink" if strength <= 0.8 else "paper"
                    dash = f"M{_n(left + column * step + 3)} {_n(top + row * step + 6)}h6"
                    parts.append(
                        f'<path class="dash {ink}" stroke="{style.LIGHT[ink]}" d="{dash}"/>'
                    )
    return "".join(parts) + "</g>"


def _text(
    x: float,
    y: float,
    words: str,
    size: float,
    kind: str,
    *,
    named: bool = False,
    weight: str = "",
    anchor: str = "middle",
) -> str:
    """Text centred on (or starting at) a point. Names get their subscripts."""
    base, subscript = text.split_name(words) if named else (words, "")
    inner = escape(_printable(base))
    if subscript:
        inner += (
            f'<tspan font-size="{_n(size * text.SUBSCRIPT)}" dy="{_n(size * 0.22)}">'
            f"{escape(_printable(subscript))}</tspan>"
        )
    colour = style.LIGHT[kind]
    more = ' font-style="italic"' if kind == "gradient" else ""
    more += f' font-weight="{weight}"' if weight else ""
    return (
        f'<text class="{kind}" x="{_n(x)}" y="{_n(y + size * 0.35)}" font-size="{_n(size)}" '
        f'text-anchor="{anchor}" fill="{colour}"{more}>{inner}</text>'
    )


Legend = list[tuple[str, str]]


def _legend(circuit: Circuit) -> Legend:
    """What the colours mean, as far as they occur; and the circuit's note."""
    wires = [wire for node in circuit.nodes for wire in node.wires]
    legend: Legend = []
    if any(wire.value is not None for wire in wires):
        legend.append(("value", "above: value"))
    if any(wire.gradient is not None for wire in wires):
        legend.append(("gradient", "below: gradient"))
    texts = [word for wire in wires for word in (wire.value, wire.gradient) if word]
    if any(wire.value_cells is not None and wire.value_cells.rows for wire in wires):
        legend.append(("muted", "dash: negative"))
        legend.append(("muted", "hollow: exactly 0"))
    elif any(word.startswith("‖") for word in texts):
        legend.append(("muted", "‖ ‖: norm of a tensor"))
    if circuit.note:
        legend.append(("muted", circuit.note))
    return legend


def _legend_width(legend: Legend) -> float:
    return sum(text.width(words, style.SMALL) + 12 for _, words in legend)


def _draw_legend(legend: Legend, x: float, y: float) -> str:
    parts = ['<g class="legend">']
    for kind, words in legend:
        parts.append(_text(x, y - 4, words, style.SMALL, kind, anchor="start"))
        x += text.width(words, style.SMALL) + 12
    parts.append("</g>")
    return "".join(parts)


def _n(x: float) -> str:
    """A coordinate: one decimal, none where it is a whole number."""
    rounded = round(x, 1)
    return str(int(rounded)) if rounded == int(rounded) else str(rounded)


def _q(value: str) -> str:
    return quoteattr(_printable(value))


_UNPRINTABLE = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _printable(value: str) -> str:
    """`value` without the characters that XML can't hold."""
    return _UNPRINTABLE.sub("\ufffd", value)
