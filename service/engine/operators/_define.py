"""Short ways to register the common kinds of operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from service.engine.registry import REGISTRY, Domain, Example, Operator, Rule
from service.engine.shapes import elementwise_float

Interval = tuple[float, float]


def unary(
    name: str,
    forward: Rule,
    rule: Rule | None,
    *,
    summary: str,
    formula: str,
    gradient: str,
    scalar: str | Callable[..., str] = "",
    interval: Interval = (-2.0, 2.0),
    avoid: tuple[float, ...] = (),
    group: str = "unary",
    code: str | Callable[..., str] = "",
    infer: Rule = elementwise_float,
    **more: Any,
) -> Operator:
    """Register an elementwise operator of one input `x`."""
    return REGISTRY.register(
        Operator(
            name=name,
            group=group,
            inputs=("x",),
            summary=summary,
            infer=infer,
            forward=forward,
            vjp=(rule,),
            elementwise=True,
            scalar=scalar,
            formula=formula,
            gradient_formula=gradient,
            code=code or ("" if "plain" in more else f"np.{name}({{0}})"),
            domain=Domain(ranges=(interval,), avoid=avoid),
            numbers=more.pop("numbers", "numeric"),
            **more,
        )
    )


def binary(
    name: str,
    forward: Rule,
    rules: tuple[Rule | None, Rule | None],
    *,
    summary: str,
    formula: str,
    gradient: str,
    infer: Rule,
    scalar: str | Callable[..., str] = "",
    domain: Domain | None = None,
    group: str = "arithmetic",
    **more: Any,
) -> Operator:
    """Register an elementwise operator of two inputs `a` and `b`."""
    return REGISTRY.register(
        Operator(
            name=name,
            group=group,
            inputs=("a", "b"),
            summary=summary,
            infer=infer,
            forward=forward,
            vjp=rules,
            elementwise=True,
            scalar=scalar,
            formula=formula,
            gradient_formula=gradient,
            domain=domain or Domain(),
            numbers=more.pop("numbers", "numeric"),
            **more,
        )
    )


def composite(
    name: str,
    inputs: str,
    expand: Rule,
    examples: tuple[Example, ...],
    *,
    group: str,
    summary: str,
    formula: str,
    gradient: str,
    infer: Rule | None = None,
    domain: Domain | None = None,
    **more: Any,
) -> Operator:
    """Register an operator that is written in others; `inputs` are names, apart by blanks."""
    return REGISTRY.register(
        Operator(
            name=name,
            group=group,
            inputs=tuple(inputs.split()),
            summary=summary,
            infer=infer,
            expand=expand,
            formula=formula,
            gradient_formula=gradient,
            domain=replace(domain or Domain(), examples=examples),
            **more,
        )
    )
