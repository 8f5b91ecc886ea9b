"""Sizes and colours of the drawing. Lengths are in the SVG's user units (pixels)."""

from __future__ import annotations

RADIUS = 17.0
SYMBOL = 15.0
NAME = 16.0
LABEL = 12.5
SMALL = 11.5
SHADOW = 4.0
LINE = 15.0
CLEAR = 4.0
WIRE = 34.0
ROW_GAP = 10.0
TRACK = 0.45
TRACK_REACH = 9.0
GAP = 22.0
WIDEST_GAP = 110.0
MARGIN = 14.0
LEGEND = 26.0

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

# Told apart by their lightness too, and by place: values above the wire and upright,
# gradients below it and slanted.
LIGHT = {
    "ink": "#1b1f24",
    "wire": "#57606a",
    "muted": "#57606a",
    "gate": "#ffffff",
    "value": "#00703c",
    "gradient": "#c4230e",
    "paper": "#ffffff",
}
DARK = {
    "ink": "#e6edf3",
    "wire": "#9aa4af",
    "muted": "#9aa4af",
    "gate": "#161b22",
    "value": "#56d364",
    "gradient": "#ff8b7b",
    "paper": "#0d1117",
}


def shape_text(dims: tuple[int, ...]) -> str:
    """A tensor's shape as it stands above its wire."""
    return "(" + ", ".join(map(str, dims)) + (",)" if len(dims) == 1 else ")")
