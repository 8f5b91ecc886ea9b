"""How operators that aren't elementwise carry a leading batch axis.

A batch rule is `rule(xp, flags, *inputs, **attrs)`: `flags` says which inputs have the
axis; the result has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Rule = Callable[..., Any]


def behind(axis: int | Sequence[int] | None, ndim: int) -> int | tuple[int, ...]:
    """An axis attribute of a point's tensor of `ndim` dimensions, one place to the right."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    if isinstance(axis, int):
        return axis % ndim + 1 if ndim else 1
    return all_behind(axis, ndim)


def all_behind(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    """A list of axes of a point's tensor, each one place to the right."""
    return tuple(one % ndim + 1 for one in axes)


def shift_axis(name: str) -> Rule:
    """For an operator of one input whose `axis` counts that input's axes."""

    def rule(xp: Any, flags: tuple[bool, ...], x: Any, *, axis: Any, **attrs: Any) -> Any:
        return getattr(xp, name)(x, axis=behind(axis, x.ndim - 1), **attrs)

    return rule


def native(name: str) -> Rule:
    """For an operator of one input that takes stacks of tensors as they are."""

    def rule(xp: Any, flags: tuple[bool, ...], x: Any, **attrs: Any) -> Any:
        return getattr(xp, name)(x, **attrs)

    return rule


def with_shape(name: str) -> Rule:
    """For an operator of one input whose `shape` is the result's."""

    def rule(xp: Any, flags: tuple[bool, ...], x: Any, *, shape: Sequence[int]) -> Any:
        return getattr(xp, name)(x, shape=(x.shape[0], *shape))

    return rule


def spread(xp: Any, flags: tuple[bool, ...], inputs: Sequence[Any]) -> list[Any]:
    """All inputs with the batch axis: those without it are repeated."""
    size = next(x.shape[0] for flag, x in zip(flags, inputs, strict=True) if flag)
    return [
        x if flag else xp.broadcast_to(x, shape=(size, *x.shape))
        for flag, x in zip(flags, inputs, strict=True)
    ]
