"""The boxes of a drawing, read back from its SVG: texts, gates and wires."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from service.diagrams import text

SVG = "{http://www.w3.org/2000/svg}"
Point = tuple[float, float]


@dataclass(frozen=True)
class Rect:
    """A rectangle and what is in it."""

    what: str
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Rect) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, point: Point) -> bool:
        return self.left < point[0] < self.right and self.top < point[1] < self.bottom


@dataclass
class Drawing:
    """What a picture consists of."""

    width: float
    height: float
    texts: list[Rect] = field(default_factory=list)
    gates: list[Rect] = field(default_factory=list)
    symbols: list[Rect] = field(default_factory=list)
    wires: list[list[Point]] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Every overlap and everything that is cut off, in words."""
        found = []
        everything = self.texts + self.symbols
        page = Rect("page", 0, 0, self.width, self.height)
        for box in everything + self.gates:
            inside = page.left <= box.left and box.right <= page.right
            if not (inside and page.top <= box.top and box.bottom <= page.bottom):
                found.append(f"{box.what} is cut off")
        solid = sorted(self.texts + self.gates, key=lambda box: box.left)
        for place, box in enumerate(solid):
            for other in solid[place + 1 :]:
                if other.left >= box.right:
                    break
                if box.meets(other):
                    found.append(f"{box.what} overlaps {other.what}")
        found += [
            f"{symbol.what} does not fit its gate"
            for symbol in self.symbols
            if not any(g.left <= symbol.left and symbol.right <= g.right for g in self.gates)
        ]
        inner = [Rect(g.what, g.left + 1, g.top + 1, g.right - 1, g.bottom - 1) for g in self.gates]
        for wire in self.wires:
            low, high = min(p[0] for p in wire), max(p[0] for p in wire)
            found += [
                f"a wire from {wire[0]} crosses {box.what}"
                for box in self.texts + inner
                if box.left < high and low < box.right and any(map(box.holds, wire))
            ]
        return found


def read(svg: str) -> Drawing:
    """The drawing in an SVG document. Widths of texts are upper bounds."""
    root = ElementTree.fromstring(svg)
    drawing = Drawing(float(root.attrib["width"]), float(root.attrib["height"]))
    for group in root.iter(f"{SVG}g"):
        gate = "gate" in group.attrib.get("class", "") or "group" in group.attrib.get("class", "")
        first = True
        shapes = []
        for item in group:
            if item.tag == f"{SVG}text":
                (drawing.symbols if gate and first else drawing.texts).append(_text_box(item))
                first = False
            elif item.tag == f"{SVG}path":
                drawing.wires.append(_points(item.attrib["d"]))
            elif item.tag in (f"{SVG}circle", f"{SVG}rect") and gate:
                shapes.append(_shape(item, group.attrib["data-node"]))
        if shapes:
            drawing.gates.append(
                Rect(
                    shapes[0].what,
                    min(s.left for s in shapes),
                    min(s.top for s in shapes),
                    max(s.right for s in shapes),
                    max(s.bottom for s in shapes),
                )
            )
    return drawing


def _text_box(item: ElementTree.Element) -> Rect:
    x, y, size = (float(item.attrib[name]) for name in ("x", "y", "font-size"))
    words, width = item.text or "", text.width(item.text or "", size)
    for span in item:
        words += span.text or ""
        width += text.width(span.text or "", float(span.attrib["font-size"]))
    left = x if item.attrib["text-anchor"] == "start" else x - width / 2
    return Rect(words, left, y - 0.75 * size, left + width, y + 0.22 * size)


def _shape(item: ElementTree.Element, name: str) -> Rect:
    a = {key: float(value) for key, value in item.attrib.items() if re.fullmatch(r"[\d.-]+", value)}
    if item.tag == f"{SVG}circle":
        return Rect(
            f"gate {name}", a["cx"] - a["r"], a["cy"] - a["r"], a["cx"] + a["r"], a["cy"] + a["r"]
        )
    return Rect(f"gate {name}", a["x"], a["y"], a["x"] + a["width"], a["y"] + a["height"])


def _points(path: str) -> list[Point]:
    """The path as many points, a pixel or two apart."""
    points: list[Point] = []
    for command, rest in re.findall(r"([MHC])([^MHC]*)", path):
        n = [float(number) for number in rest.split()]
        if command == "M":
            points.append((n[0], n[1]))
        elif command == "H":
            points += _line(points[-1], (n[0], points[-1][1]))
        else:
            points += _curve(points[-1], (n[0], n[1]), (n[2], n[3]), (n[4], n[5]))
    return points


def _line(a: Point, b: Point) -> list[Point]:
    count = max(1, int(abs(b[0] - a[0]) / 2))
    return [(a[0] + (b[0] - a[0]) * i / count, a[1]) for i in range(1, count + 1)]


def _curve(a: Point, b: Point, c: Point, d: Point) -> list[Point]:
    count = max(8, int((abs(d[0] - a[0]) + abs(d[1] - a[1])) / 2))
    points = []
    for i in range(1, count + 1):
        t = i / count
        w = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        points.append(
            (
                sum(k * p[0] for k, p in zip(w, (a, b, c, d), strict=True)),
                sum(k * p[1] for k, p in zip(w, (a, b, c, d), strict=True)),
            )
        )
    return points
