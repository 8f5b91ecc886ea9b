"""Dimension analysis: which product of the upstream gradient and an operand has the right shape.

The note's tip: dW must have W's shape, and it depends on X and dD by a matrix product, so
there is usually one way only to write it.
"""

from __future__ import annotations

from itertools import product

Shape = tuple[int, ...]


def shape_text(shape: Shape) -> str:
    """(5, 10) as it is written in Python."""
    return str(tuple(shape))


def product_for(wanted: str, shape: Shape, upstream: str, g: Shape, other: str, x: Shape) -> str:
    """The analysis for one operand of a matrix product, in words.

    `wanted` is the gradient's name and `shape` its shape; `upstream` of shape `g` and
    `other` of shape `x` are what it is made of. All three are matrices; else "".
    """
    if not len(shape) == len(g) == len(x) == 2:
        return ""
    fits = []
    for (left, right), turn_left, turn_right in product(
        (((upstream, g), (other, x)), ((other, x), (upstream, g))), (False, True), (False, True)
    ):
        a = left[1][::-1] if turn_left else left[1]
        b = right[1][::-1] if turn_right else right[1]
        if a[1] == b[0] and (a[0], b[1]) == shape:
            written = (
                f"{left[0]}{'.T' if turn_left else ''} @ {right[0]}{'.T' if turn_right else ''}"
            )
            fits.append((written, a, b))
    given = (
        f"{wanted} must have the shape {shape_text(shape)}; "
        f"{upstream} is {shape_text(g)} and {other} is {shape_text(x)}."
    )
    if len(fits) == 1:
        written, a, b = fits[0]
        return (
            f"{given} Only {written} gives it: "
            f"{shape_text(a)} @ {shape_text(b)} is {shape_text(shape)}."
        )
    if fits:
        ways = ", ".join(written for written, _, _ in fits)
        return f"{given} {len(fits)} products have that shape ({ways}): shapes alone don't decide."
    return given


def broadcast_for(wanted: str, shape: Shape, upstream: str, g: Shape) -> str:
    """Why a gradient is summed over the axes along which its operand was repeated."""
    if shape == g or len(g) < len(shape):
        return ""
    lead = len(g) - len(shape)
    axes = [*range(lead)]
    axes += [i + lead for i, (a, b) in enumerate(zip(shape, g[lead:], strict=True)) if a != b]
    named = ", ".join(map(str, axes))
    return (
        f"{wanted} must have the shape {shape_text(shape)}, but {upstream} is {shape_text(g)}: "
        f"the input was repeated along axis {named}, so its gradient is summed over it."
    )
