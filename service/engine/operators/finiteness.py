"""Numbers that are not finite: finding them, and putting others in their place."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from service.engine.operators._define import unary
from service.engine.registry import Attribute
from service.engine.shapes import elementwise_bool, same
from service.engine.spelling import Spelling

for _name, _test, _number, _what, _onnx in (
    ("isnan", np.isnan, "{0} != {0}", "no number", "IsNaN"),
    (
        "isfinite",
        np.isfinite,
        "abs({0}) < inf",
        "a finite number",
        lambda xp, x: xp.logical_not(xp.logical_or(xp.isnan(x), xp.isinf(x))),
    ),
    ("isinf", np.isinf, "abs({0}) == inf", "infinite", "IsInf"),
):
    unary(
        _name,
        _test,
        None,
        differentiable=False,
        group="comparison",
        infer=elementwise_bool,
        branch=lambda y, x: y,
        scalar=_number,
        onnx=_onnx,
        summary=f"Whether the input is {_what}, element by element.",
        formula=f"{_name}(x)",
        gradient="none",
    )


def _nan_to_num_code(x: str, *, nan: float, posinf: Any, neginf: Any) -> str:
    given = {"nan": nan or None, "posinf": posinf, "neginf": neginf}
    return (
        f"np.nan_to_num({x}"
        + "".join(f", {name}={value!r}" for name, value in given.items() if value is not None)
        + ")"
    )


def _nan_to_num_number(x: str, *, nan: str, posinf: str | None, neginf: str | None) -> str:
    high, low = posinf or repr(sys.float_info.max), neginf or repr(-sys.float_info.max)
    return f"{nan} if {x} != {x} else {high} if {x} == inf else {low} if {x} == -inf else {x}"


def _nan_to_num_onnx(xp: Any, x: Any, *, nan: float, posinf: Any, neginf: Any) -> Any:
    limits = np.finfo(str(x.dtype))
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    bound = xp.where(xp.isinf(x), xp.where(xp.greater(x, 0.0), high, low), x)
    return xp.where(xp.isnan(x), nan, bound)


unary(
    "nan_to_num",
    lambda x, *, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
    lambda xp, g, y, x, **_: xp.where(xp.isfinite(x), g, 0.0),
    infer=same,
    attributes={
        "nan": Attribute("float", 0.0, "what takes the place of NaN"),
        "posinf": Attribute("float", None, "of inf; null means the largest", nullable=True),
        "neginf": Attribute("float", None, "of -inf; null means the smallest", nullable=True),
    },
    onnx=_nan_to_num_onnx,
    scalar=_nan_to_num_number,
    summary="The input with finite numbers in place of NaN and infinities.",
    formula="x where finite, else a number",
    gradient="dx = g where x is finite, else 0",
    pattern="router",
    numpy=(Spelling("x copy nan posinf neginf"),),
    code=_nan_to_num_code,
)
