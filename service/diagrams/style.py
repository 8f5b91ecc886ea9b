"""Sizes and colours of the drawing. Lengths are in the SVG's user units (pixels)."""

from __future__ import annotations

RADIUS = 17.0
SYMBOL = 15.0
NAME = 16.0
LABEL = 12.5
SMALL = 12.5
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
    "ink": "#1d1b18",
    "wire": "#6b665d",
    "muted": "#625d55",
    "gate": "#ffffff",
    "value": "#0a6b3b",
    "gradient": "#b4271d",
    "paper": "#ffffff",
    "edge": "#8d877c",
    "problem": "#95470a",
}
DARK = {
    "ink": "#ece8e0",
    "wire": "#a09b92",
    "muted": "#aaa59b",
    "gate": "#1b1e22",
    "value": "#6fd491",
    "gradient": "#ff9c8c",
    "paper": "#15171a",
    "edge": "#7f8389",
    "problem": "#ffbe7a",
}


def shape_text(dims: tuple[int, ...]) -> str:
    """A tensor's shape as it stands above its wire."""
    return "×".join(map(str, dims))
