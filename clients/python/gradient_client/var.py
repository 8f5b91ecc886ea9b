"""Graphs by writing Python: operators on `Var` make nodes.

    x, w = Var("x"), Var("w", shape=(3,))
    f = ops.sigmoid((w * x).sum()).named("f")
    graph(f)        # the JSON that the service takes

Nothing is computed here, and operators are not known here: `ops.NAME` makes a node of any
operator of the service's catalogue, and the service checks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradient_client import numpy_calls
from gradient_client.tensors import encode

Operand = Any
"""A Var, a number, or an array (which becomes a constant)."""

_FAR = 2**31 - 1


class Var:
    """One node's output: an input `Var("x")`, or what an operator makes of others.

    `value` is a default for an input, `shape` and `dtype` declare it. Comparisons with
    `<`, `<=`, `>`, `>=` make nodes; `==` compares identity, as for any object: for a node
    write `ops.equal(a, b)`.
    """

    __slots__ = ("_attrs", "_index", "_inputs", "_leaf", "_name", "_op", "_whole")

    def __init__(
        self,
        name: str,
        value: Operand = None,
        *,
        shape: Sequence[int] | None = None,
        dtype: str | None = None,
    ) -> None:
        leaf: dict[str, Any] = {}
        if value is not None:
            leaf["value"] = encode(value)
        if shape is not None:
            leaf["shape"] = list(shape)
        if dtype is not None:
            leaf["dtype"] = dtype
        self._set("input", (), {}, name, leaf)

    def _set(
        self,
        op: str,
        inputs: tuple[Operand, ...],
        attrs: dict[str, Any],
        name: str | None = None,
        leaf: dict[str, Any] | None = None,
    ) -> None:
        self._op = op
        self._inputs = inputs
        self._attrs = attrs
        self._name = name
        self._leaf = leaf
        self._whole: Var | None = None
        self._index = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's elementwise functions make nodes: np.exp(x), array * x."""
        return numpy_calls.ufunc(node, ufunc, method, inputs, options)

    def __array_function__(self, called: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's other functions make nodes: np.sum(x, axis=0)."""
        return numpy_calls.function(node, called, args, kwargs)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a Var has no values here, and is no array")

    @property
    def declared_shape(self) -> tuple[int, ...] | None:
        """The shape that an input was declared with, if it was."""
        shape = (self._leaf or {}).get("shape")
        return None if shape is None else tuple(shape)

    @property
    def name(self) -> str | None:
        """The node's id; None when the graph gives it one."""
        return self._name

    def named(self, name: str) -> Var:
        """Give the node an id, and give the node back."""
        if self._whole is not None:
            raise ValueError("an output of a node has the node's name")
        self._name = name
        return self

    def output(self, index: int) -> Var:
        """Output `index` of a node that has several (split, eigh, svd, …)."""
        if index == 0:
            return self
        part = Var.__new__(Var)
        part._set(self._op, (), {})
        part._whole = self
        part._index = index
        return part

    def __repr__(self) -> str:
        return f"<Var {self._name or '?'} = {self._op}>"

    def __bool__(self) -> bool:
        raise TypeError("a Var has no value here; use ops.where for a choice")

    def __iter__(self) -> Iterator[Var]:
        raise TypeError("a Var can't be iterated: its shape is not known here")

    # Arithmetic and comparisons.

    def __add__(self, other: Operand) -> Var:
        return node("add", self, other)

    def __radd__(self, other: Operand) -> Var:
        return node("add", other, self)

    def __sub__(self, other: Operand) -> Var:
        return node("subtract", self, other)

    def __rsub__(self, other: Operand) -> Var:
        return node("subtract", other, self)

    def __mul__(self, other: Operand) -> Var:
        return node("multiply", self, other)

    def __rmul__(self, other: Operand) -> Var:
        return node("multiply", other, self)

    def __truediv__(self, other: Operand) -> Var:
        return node("divide", self, other)

    def __rtruediv__(self, other: Operand) -> Var:
        return node("divide", other, self)

    def __pow__(self, other: Operand) -> Var:
        return node("pow", self, other)

    def __rpow__(self, other: Operand) -> Var:
        return node("pow", other, self)

    def __mod__(self, other: Operand) -> Var:
        return node("remainder", self, other)

    def __rmod__(self, other: Operand) -> Var:
        return node("remainder", other, self)

    def __matmul__(self, other: Operand) -> Var:
        return node("matmul", self, other)

    def __rmatmul__(self, other: Operand) -> Var:
        return node("matmul", other, self)

    def __neg__(self) -> Var:
        return node("negative", self)

    def __pos__(self) -> Var:
        return self

    def __abs__(self) -> Var:
        return node("abs", self)

    def __lt__(self, other: Operand) -> Var:
        return node("less", self, other)

    def __le__(self, other: Operand) -> Var:
        return node("less_equal", self, other)

    def __gt__(self, other: Operand) -> Var:
        return node("greater", self, other)

    def __ge__(self, other: Operand) -> Var:
        return node("greater_equal", self, other)

    # What NumPy's arrays have as methods.

    @property
    def T(self) -> Var:
        """The last two axes exchanged."""
        return node("matrix_transpose", self)

    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Var:
        """The sum over `axis`, over everything by default."""
        return node("sum", self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Var:
        """The mean over `axis`, over everything by default."""
        return node("mean", self, axis=axis, keepdims=keepdims)

    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Var:
        """The largest element over `axis`."""
        return node("max", self, axis=axis, keepdims=keepdims)

    def min(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Var:
        """The smallest element over `axis`."""
        return node("min", self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Var:
        """The same elements in another shape; -1 for one size that follows."""
        sizes = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return node("reshape", self, shape=list(sizes))

    def __getitem__(self, key: Any) -> Var:
        """Basic indexing (integers, slices, `...`, None), or rows by an integer array."""
        if isinstance(key, Var):
            return node("take", self, key, axis=0)
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, bool | np.bool) or _is_mask(part) for part in parts):
            raise IndexError("a mask selects no fixed number of elements: use ops.where")
        if isinstance(key, np.ndarray | list):
            return node("take", self, _indices(key), axis=0)
        return _indexed(self, parts)


def _is_mask(part: Any) -> bool:
    return isinstance(part, list | np.ndarray) and np.asarray(part).dtype.kind == "b"


def _indices(key: Any) -> Any:
    """An array of whole numbers. Raises IndexError for others."""
    array = np.asarray(key)
    if array.size and array.dtype.kind not in "iu":
        raise IndexError("indices are whole numbers")
    return array.astype(np.int64)


def constant(value: Operand, name: str | None = None) -> Var:
    """A leaf without a gradient."""
    made = Var.__new__(Var)
    made._set("constant", (), {}, name, {"value": encode(value)})
    return made


def node(op: str, *inputs: Operand, **attrs: Any) -> Var:
    """A node of operator `op`. Attributes that are None are left to their default."""
    made = Var.__new__(Var)
    given = {name: _plain(value) for name, value in attrs.items() if value is not None}
    made._set(op, tuple(map(_operand, inputs)), given)
    return made


def _plain(value: Any) -> Any:
    """An attribute as JSON has it."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _operand(value: Operand) -> Operand:
    if isinstance(value, Var):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(value).__name__} can't be part of a graph")
    if array.ndim == 0 and np.isfinite(array) and array.dtype.kind != "b":
        return array.item()
    return constant(value)


def _indexed(x: Var, key: tuple[Any, ...]) -> Var:
    """Slices first, then the axes of integers away, then new ones in."""
    if sum(item is Ellipsis for item in key) > 1:
        raise IndexError("an index can have one ellipsis only")
    taken = [item for item in key if item is not None]
    dots = next((i for i, item in enumerate(taken) if item is Ellipsis), len(taken))
    starts, stops, axes, steps, gone = [], [], [], [], []
    for place, item in enumerate(taken):
        if item is Ellipsis or item == slice(None):
            continue
        axis = place if place < dots else place - len(taken)
        if isinstance(item, slice):
            step = 1 if item.step is None else int(item.step)
            first, last = (0, _FAR) if step > 0 else (_FAR, -_FAR)
            starts.append(first if item.start is None else int(item.start))
            stops.append(last if item.stop is None else int(item.stop))
        else:
            if not hasattr(item, "__index__"):
                raise IndexError("beside others an index is an integer, a slice, ... or None")
            at = item.__index__()
            step = 1
            starts.append(at)
            stops.append(at + 1 if at != -1 else _FAR)
            gone.append(axis)
        axes.append(axis)
        steps.append(step)
    if axes:
        x = node("slice", x, starts=starts, stops=stops, axes=axes, steps=steps)
    if gone:
        x = node("squeeze", x, axis=gone)
    kept = [item for item in key if not hasattr(item, "__index__")]
    dots = next((i for i, item in enumerate(kept) if item is Ellipsis), len(kept))
    new = [
        place if place < dots else place - len(kept)
        for place, item in enumerate(kept)
        if item is None
    ]
    return node("expand_dims", x, axis=new) if new else x


class _Operators:
    """`ops.NAME(*inputs, **attributes)` makes a node of the operator NAME."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def make(*inputs: Operand, **attrs: Any) -> Var:
            return node(name, *inputs, **attrs)

        make.__name__ = name
        return make


ops: Any = _Operators()
"""Every operator of the catalogue: `ops.exp(x)`, `ops.softmax(x, axis=-1)`."""


def graph(outputs: Var | Sequence[Var]) -> dict[str, Any]:
    """The graph that computes these outputs, as the service's JSON.

    Nodes without a name get "_1", "_2", … in the order in which they are needed. ValueError
    when two different nodes have one name.
    """
    wanted = [outputs] if isinstance(outputs, Var) else list(outputs)
    ordered = _ordered(wanted)
    names = _names(ordered)
    nodes = [_written(var, names) for var in ordered]
    written = [_reference(var, names) for var in wanted]
    return {"nodes": nodes, "output": written[0] if isinstance(outputs, Var) else written}


def _ordered(wanted: Sequence[Var]) -> list[Var]:
    """All nodes that the outputs need, inputs before readers; graphs may be deep."""
    seen: set[int] = set()
    ordered: list[Var] = []
    for output in wanted:
        stack = [(_node_of(output), False)]
        while stack:
            var, expanded = stack.pop()
            if expanded:
                ordered.append(var)
                continue
            if id(var) in seen:
                continue
            seen.add(id(var))
            stack.append((var, True))
            stack.extend(
                (_node_of(source), False)
                for source in reversed(var._inputs)
                if isinstance(source, Var)
            )
    return ordered


def _node_of(var: Var) -> Var:
    """The node that `var` is an output of."""
    return var if var._whole is None else var._whole


def _names(ordered: Sequence[Var]) -> dict[int, str]:
    """A name for every node, by its identity."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for var in ordered:
        if var._name is not None:
            if var._name in taken:
                raise ValueError(f"two nodes have the name '{var._name}'")
            taken.add(var._name)
            names[id(var)] = var._name
    number = 0
    for var in ordered:
        if id(var) not in names:
            number += 1
            while f"_{number}" in taken:
                number += 1
            names[id(var)] = f"_{number}"
    return names


def _reference(var: Operand, names: dict[int, str]) -> Any:
    if not isinstance(var, Var):
        return var
    if var._whole is not None:
        return f"{names[id(var._whole)]}.{var._index}"
    return names[id(var)]


def _written(var: Var, names: dict[int, str]) -> dict[str, Any]:
    written: dict[str, Any] = {"id": names[id(var)], "op": var._op}
    if var._leaf is not None:
        return written | var._leaf
    written["inputs"] = [_reference(source, names) for source in var._inputs]
    return written | var._attrs
