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


class Columns:
    """The computed nodes as parallel lists, as `Graph` keeps them."""

    __slots__ = ("attrs", "codes", "first", "literals", "many", "projections", "second")

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.first: list[int] = []
        self.second: list[int] = []
        self.many: dict[int, tuple[int, ...]] = {}
        self.attrs: dict[int, dict[str, Any]] = {}
        self.literals: list[float | bool] = []
        self.projections: dict[int, tuple[int, int]] = {}


@dataclass(slots=True)
class GraphSpec:
    """Node `i` is `ids[i]`: operator `ops[i]` (a name or alias) of `inputs[i]`.

    An input is a node id or a literal number. `attrs` and `leaves` are sparse, by node
    position; a leaf's op is "input" or "constant" and its inputs are (). `places` gives
    line and column for graphs that came from source text.

    Source text gives `columns` and `order` in place of `ops`, `inputs` and `attrs`: its
    names are looked up already. `labels` are the names by which nodes are shown, where
    those are others than their ids; `text` is set where the graph depends on the shapes
    or dtypes of its inputs.
    """

    ids: list[str]
    ops: list[str]
    inputs: list[Sequence[str | float]]
    attrs: dict[int, dict[str, Any]] = field(default_factory=dict)
    leaves: dict[int, Leaf] = field(default_factory=dict)
    output: str | list[str] | None = None
    places: dict[int, tuple[int, int]] | None = None
    columns: Columns | None = None
    order: list[int] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    text: Any = None
