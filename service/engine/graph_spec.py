"""A graph as it was written: columns of names, before anything is resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from service.engine.errors import Shape


@dataclass(slots=True)
class Leaf:
    """A node without inputs. `value`: a NumPy array, a float or a bool; None when not given.

    kind "input" has a gradient, "constant" has none and needs a value. `dtype` None
    means the request's floating dtype (or, for a value of booleans, bool).
    """

    kind: Literal["input", "constant"]
    value: Any = None
    shape: Shape | None = None
    dtype: str | None = None


@dataclass(slots=True)
class GraphSpec:
    """Node `i` is `ids[i]`: operator `ops[i]` (a name or alias) of `inputs[i]`.

    An input is a node id or a literal number. `attrs` and `leaves` are sparse, by node
    position; a leaf's op is "input" or "constant" and its inputs are (). `places` gives
    line and column for graphs that came from source text.
    """

    ids: list[str]
    ops: list[str]
    inputs: list[Sequence[str | float]]
    attrs: dict[int, dict[str, Any]] = field(default_factory=dict)
    leaves: dict[int, Leaf] = field(default_factory=dict)
    output: str | list[str] | None = None
    places: dict[int, tuple[int, int]] | None = None
