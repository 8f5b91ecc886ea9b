"""Subscripts: parts of values, and parts that are assigned to."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from service.engine.errors import Shape
from service.engine.expression.arrays import shape_of
from service.engine.expression.values import (
    UNKNOWN,
    Known,
    Node,
    Part,
    Several,
    Value,
    every,
    is_index,
    is_number,
)

if TYPE_CHECKING:
    from service.engine.expression.reader import Reader

_TO_THE_END = 2**31 - 1
_SELECTS = "where(mask, x, 0) keeps the shape; sum(where(mask, x, 0)) sums what is selected"


class Buffer:
    """An array that is filled part by part, as `out = np.zeros((3, 4)); out[i, j] = …`.

    `origin` says of every element where it comes from: a place in all `pieces` laid end to
    end. What is written last counts, as NumPy has it, since NumPy itself moves the places.
    """

    __slots__ = ("origin", "pieces", "starts", "total", "whole")

    def __init__(self, base: Value, shape: Shape) -> None:
        size = math.prod(shape)
        self.pieces: list[tuple[Value, Shape]] = [(base, shape)]
        self.starts = [0]
        self.total = size
        self.origin = np.arange(size).reshape(shape)
        self.whole: Value = base

    @property
    def shape(self) -> Shape:
        return self.origin.shape

    def write(self, index: Any, value: Value, shape: Shape) -> None:
        """Put a value of this shape at an index; ValueError or IndexError where it doesn't fit."""
        region = self.origin[index].shape
        places = np.arange(self.total, self.total + math.prod(shape)).reshape(shape)
        extra = len(shape) - len(region)
        if extra > 0 and set(shape[:extra]) <= {1}:
            places = places.reshape(shape[extra:])
        self.origin[index] = np.broadcast_to(places, region)
        self.pieces.append((value, shape))
        self.starts.append(self.total)
        self.total += math.prod(shape)
        self.whole = None

    def gather(self, reader: Reader, places: np.ndarray, at: ast.AST) -> Value:
        """The elements that come from these places, in their shape."""
        flat = places.ravel()
        ends = np.asarray(self.starts)
        owners = np.searchsorted(ends, flat, side="right") - 1
        used = np.unique(owners)
        if len(used) == 1:
            value, shape = self.pieces[used[0]]
            size = math.prod(shape)
            if flat.size == size and np.array_equal(flat, ends[used[0]] + np.arange(size)):
                if shape == places.shape:
                    return value
                return reader.emit("reshape", [value], {"shape": list(places.shape)}, at)
        parts, moved, start = [], np.empty_like(flat), 0
        for owner in used:
            value, shape = self.pieces[owner]
            mine = owners == owner
            moved[mine] = flat[mine] - ends[owner] + start
            start += math.prod(shape)
            parts.append(reader.emit("reshape", [value], {"shape": [-1]}, at))
        whole = parts[0] if len(parts) == 1 else reader.emit("concat", parts, {"axis": 0}, at)
        return reader.emit("take", [whole, moved.reshape(places.shape)], {"axis": 0}, at)

    def node(self, reader: Reader, at: ast.AST) -> Value:
        """The array as it is now."""
        if self.whole is None:
            reader.tape.spend(self.origin.size)
            self.whole = self.gather(reader, self.origin, at)
        return self.whole

    def copy(self) -> Buffer:
        """An array of its own with the same elements."""
        made = Buffer(self.pieces[0][0], self.shape)
        made.pieces, made.starts = list(self.pieces), list(self.starts)
        made.total, made.origin, made.whole = self.total, self.origin.copy(), self.whole
        return made


def load(reader: Reader, at: ast.Subscript) -> Value:
    """`value[index]`."""
    value = reader.value(at.value)
    index = reader.value(at.slice)
    return item(reader, value, index, at)


def part(whole: Several, place: int) -> Value:
    """One output of a node with several."""
    return Part(whole.position, place)


def item(reader: Reader, value: Value, index: Value, at: ast.AST) -> Value:
    """The part of a value that an index names."""
    if value is UNKNOWN or _holds(index, lambda one: one is UNKNOWN):
        return UNKNOWN
    if type(value) is Several:
        return _output(reader, value, index, at)
    if isinstance(value, list | tuple | range):
        known = reader.need_value(index)
        if type(known) is int or isinstance(known, slice):
            try:
                if isinstance(known, slice):
                    reader.tape.spend(len(value))
                return value[known]
            except IndexError:
                raise reader.fault(
                    at, "syntax", f"a list of {len(value)} has no element {known}"
                ) from None
    if isinstance(value, Buffer):
        fixed = _fixed(reader, index, at)
        if fixed is not None:
            return value.gather(reader, _picked(reader, value.origin, fixed, at), at)
    value = reader.tensor(value, at)
    if isinstance(value, np.ndarray):
        fixed = _fixed(reader, index, at)
        if fixed is not None:
            picked = _picked(reader, value, fixed, at)
            reader.tape.spend(picked.size)
            return picked.item() if picked.ndim == 0 else np.array(picked)
        value = reader.tape.constant(value, at)
    if value is UNKNOWN:
        return UNKNOWN
    if not isinstance(value, Node):
        raise reader.fault(at, "syntax", "a number has no elements")
    return _take(reader, value, index, at)


def _holds(index: Value, what: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(map(what, parts))


def _output(reader: Reader, value: Several, index: Value, at: ast.AST) -> Value:
    place = reader.need_value(index)
    if type(place) is int:
        count = value.count
        if place < 0 and count is not None:
            place += count
        if place >= 0 and (count is None or place < count):
            return Part(value.position, place)
    if isinstance(place, slice) and value.count is not None:
        return tuple(Part(value.position, i) for i in range(value.count)[place])
    raise reader.fault(at, "syntax", f"{value.op} has no such output", "they count from 0")


def _fixed(reader: Reader, index: Value, at: ast.AST) -> Any:
    """The index as NumPy takes it where all of it is known; None where some of it is a node."""
    parts = index if isinstance(index, tuple) else (index,)
    fixed: list[Any] = []
    for one in parts:
        if type(one) is Known and (is_number(one.value) or not one.roots):
            one = reader.need_value(one)
        if isinstance(one, list | range | tuple):
            listed = list(one)
            if not every(reader.tape, listed, is_number):
                return None
            one = np.asarray(listed, dtype=None if listed else np.int64)
        if isinstance(one, Node | Buffer):
            return None
        if (
            one is None
            or one is ...
            or isinstance(one, slice)
            or type(one) in (int, bool)
            or (isinstance(one, np.ndarray) and one.dtype.kind in "bi")
        ):
            fixed.append(one)
        else:
            raise reader.fault(
                at,
                "syntax",
                "an index is a plain integer here",
                "use take(x, indices) for others",
            )
    return tuple(fixed)


def _picked(reader: Reader, array: np.ndarray, index: Any, at: ast.AST) -> np.ndarray:
    """`array[index]` with NumPy's own meaning."""
    try:
        reader.tape.spend(_extent(array, index))
        return np.asarray(array[index])
    except (IndexError, ValueError) as error:
        raise reader.fault(at, "syntax", f"no such part: {str(error)[:160]}") from None


def _extent(array: np.ndarray, index: tuple[Any, ...]) -> int:
    """At least as many elements as an index picks."""
    listed = [one.size for one in index if isinstance(one, np.ndarray)]
    return array.size * max(listed, default=0) if listed and array.size < 10**6 else 1


def _take(reader: Reader, value: Node, index: Value, at: ast.AST) -> Value:
    """A part of a node."""
    parts = [_part(reader, one, at) for one in (index if isinstance(index, tuple) else (index,))]
    if any(one is UNKNOWN for one in parts):
        return UNKNOWN
    if sum(one is ... for one in parts) > 1:
        raise reader.fault(at, "syntax", "an index has one ... at the most")
    advanced = [i for i, one in enumerate(parts) if isinstance(one, Node | np.ndarray)]
    if not advanced:
        return _basic(reader, value, parts, at)
    masks = [one for one in (parts[i] for i in advanced) if reader.tape.is_truth(one)]
    if any(isinstance(mask, Node) for mask in masks):
        raise reader.fault(
            at, "syntax", "a mask that selects makes a shape that depends on values", _SELECTS
        )
    listed = [i for i, one in enumerate(parts) if i in advanced or type(one) is int]
    together = listed[-1] - listed[0] == len(listed) - 1
    if len(advanced) == 1 and not masks and together:
        place = advanced[0]
        rest = [*parts[:place], slice(None), *parts[place + 1 :]]
        return _along(reader, _basic(reader, value, rest, at), rest, place, parts[place], at)
    shape = shape_of(reader, at, value)
    if shape is UNKNOWN:
        return UNKNOWN
    if all(isinstance(parts[i], np.ndarray) for i in advanced):
        reader.tape.spend(math.prod(shape))
        places = _picked(reader, np.arange(math.prod(shape)).reshape(shape), tuple(parts), at)
        flat = reader.emit("reshape", [value], {"shape": [-1]}, at)
        return reader.emit("take", [flat, np.array(places)], {"axis": 0}, at)
    return _pointwise(reader, value, shape, parts, at)


def _part(reader: Reader, one: Value, at: ast.AST) -> Value:
    """One part of an index: an integer, a slice, None, ..., an array, or a node."""
    if type(one) is Known and (type(one.value) is int or not one.roots):
        one = reader.need_value(one)
    if isinstance(one, list | tuple | range):
        listed = list(one)
        if every(reader.tape, listed, is_index):
            try:
                return np.asarray(listed, dtype=np.int64)
            except (ValueError, OverflowError):
                message = "the indices are no array of integers: rows differ in length or size"
                raise reader.fault(at, "syntax", message) from None
        one = reader.tensor(listed, at)
    if isinstance(one, Buffer):
        one = one.node(reader, at)
    if one is None or one is ... or isinstance(one, slice) or one is UNKNOWN:
        return one
    if type(one) is int and abs(one) < _TO_THE_END:
        return one
    if isinstance(one, np.ndarray) and one.dtype.kind in "bi":
        return one.item() if one.ndim == 0 and one.dtype.kind == "i" else one
    if isinstance(one, Node):
        return one
    raise reader.fault(
        at, "syntax", "an index is a plain integer here", "use take(x, indices) for others"
    )


def _basic(reader: Reader, value: Node, parts: list[Any], at: ast.AST) -> Value:
    """Integers, slices, None and ...: `slice`, `squeeze`, `expand_dims`."""
    starts: list[int] = []
    stops: list[int] = []
    axes: list[int] = []
    steps: list[int] = []
    dropped: list[int] = []
    added: list[int] = []
    dots = parts.index(...) if any(one is ... for one in parts) else len(parts)
    before = [(one, 1) for one in parts[:dots]]
    behind = [(one, -1) for one in reversed(parts[dots + 1 :])]
    axis, place = 0, 0
    # A plain `:` does nothing, but says that there is such an axis: x[:, :] of a vector fails.
    furthest = max((i for i, (one, _) in enumerate(before) if one is not None), default=0)
    furthest = -1 if furthest == 0 or any(one is None for one, _ in before[furthest:]) else furthest
    for number, (one, way) in enumerate([*before, *behind]):
        if number == len(before):
            axis, place = -1, -1
        if one is None:
            added.append(place)
            place += way
            continue
        if isinstance(one, slice):
            step = 1 if one.step is None else one.step
            first, last = one.start, one.stop
            first = (_TO_THE_END if step < 0 else 0) if first is None else first
            last = (-_TO_THE_END if step < 0 else _TO_THE_END) if last is None else last
            if step < 0 and last == -1 and one.stop == -1:
                last = -1
            place += way
        else:
            first, step = one, 1
            last = first + 1 if first != -1 else _TO_THE_END
            dropped.append(axis)
        if (first, last, step) != (0, _TO_THE_END, 1) or number == furthest:
            starts.append(first)
            stops.append(last)
            axes.append(axis)
            steps.append(step)
        axis += way
    whole_value: Value = value
    if starts:
        cut = {"starts": starts, "stops": stops, "axes": axes}
        whole_value = reader.emit(
            "slice", [whole_value], {**cut, "steps": steps} if set(steps) != {1} else cut, at
        )
    if dropped:
        whole_value = reader.emit("squeeze", [whole_value], {"axis": dropped}, at)
    if added:
        whole_value = reader.emit("expand_dims", [whole_value], {"axis": added}, at)
    if whole_value is value and type(value) is Node:
        whole_value = reader.emit("identity", [value], None, at)
    return whole_value


def _along(
    reader: Reader, value: Value, parts: list[Any], place: int, index: Value, at: ast.AST
) -> Value:
    """`take` along the axis that the slice at `place` has left."""
    dots = next((i for i, one in enumerate(parts) if one is ...), len(parts))
    if place < dots:
        axis = sum(1 for one in parts[:place] if type(one) is not int)
    else:
        axis = -sum(1 for one in parts[place:] if type(one) is not int)
    return reader.emit("take", [value, index], {"axis": axis}, at)


def _pointwise(reader: Reader, value: Value, shape: Shape, parts: list[Any], at: ast.AST) -> Value:
    """Several arrays of indices, some of them nodes: element by element, as NumPy pairs them."""
    if any(isinstance(one, np.ndarray) and one.dtype == bool for one in parts):
        raise reader.fault(at, "syntax", "a mask beside indices is not read", _SELECTS)
    spelled = _spelled_out(reader, parts, len(shape), at)
    plain = [
        slice(None) if not isinstance(one, slice) and one is not None else one for one in spelled
    ]
    if any(one != slice(None) for one in plain):
        value = _basic(reader, value, plain, at)
        shape = shape_of(reader, at, value)
    axes = [i for i, one in enumerate(spelled) if one is not None and not isinstance(one, slice)]
    indices = [spelled[i] for i in axes]
    shapes = [() if type(one) is int else shape_of(reader, at, one) for one in indices]
    try:
        joint = np.broadcast_shapes(*shapes)
    except ValueError:
        raise reader.fault(
            at, "shape_mismatch", f"the indices {' and '.join(map(str, shapes))} do not broadcast"
        ) from None
    rest = [i for i in range(len(shape)) if i not in axes]
    if axes != list(range(len(axes))):
        value = reader.emit("permute_dims", [value], {"axes": axes + rest}, at)
    count = math.prod(joint)
    for number, (one, own) in enumerate(zip(indices, shapes, strict=True)):
        flat = _flat_index(reader, one, own, joint, at)
        if number == 0:
            value = reader.emit("take", [value, flat], {"axis": 0}, at)
            continue
        ndim = len(shape) - number + 1
        if isinstance(flat, np.ndarray):
            along: Value = flat.reshape(count, *(1,) * (ndim - 1))
        else:
            along = reader.emit("reshape", [flat], {"shape": [count] + [1] * (ndim - 1)}, at)
        value = reader.emit("take_along_axis", [value, along], {"axis": 1}, at)
        value = reader.emit("squeeze", [value], {"axis": 1}, at)
    if joint != (count,):
        whole_shape = [*joint, *(shape[i] for i in rest)]
        value = reader.emit("reshape", [value], {"shape": whole_shape}, at)
    if axes[-1] - axes[0] == len(axes) - 1 and axes[0] > 0:
        k, first = len(joint), axes[0]
        total = k + len(rest)
        order = [*range(k, k + first), *range(k), *range(k + first, total)]
        value = reader.emit("permute_dims", [value], {"axes": order}, at)
    return value


def _spelled_out(reader: Reader, parts: list[Any], ndim: int, at: ast.AST) -> list[Any]:
    """An index with a part for every axis: ... written out."""
    count = sum(one is not None and one is not ... for one in parts)
    if count > ndim:
        raise reader.fault(at, "syntax", f"{count} indices for {ndim} axes")
    dots = next((i for i, one in enumerate(parts) if one is ...), len(parts))
    return [*parts[:dots], *[slice(None)] * (ndim - count), *parts[dots + 1 :]]


def _flat_index(reader: Reader, one: Value, own: Shape, joint: Shape, at: ast.AST) -> Value:
    """An index repeated to the joint shape, in one row."""
    if type(one) is int or isinstance(one, np.ndarray):
        reader.tape.spend(math.prod(joint))
        return np.broadcast_to(np.asarray(one), joint).ravel()
    if own != joint:
        one = reader.emit("broadcast_to", [one], {"shape": list(joint)}, at)
    return one if len(joint) == 1 else reader.emit("reshape", [one], {"shape": [-1]}, at)


# Assignment


def _target(reader: Reader, target: ast.Subscript) -> tuple[ast.Name, Any]:
    """The name and the index of `name[index] = …`; a chain of subscripts is none."""
    if not isinstance(target.value, ast.Name):
        raise reader.fault(
            target, "syntax", "only a part of a name can be assigned to", "write x[i, j] = …"
        )
    return target.value, reader.value(target.slice)


def store(reader: Reader, target: ast.Subscript, value: Value, at: ast.AST) -> None:
    """`name[index] = value`."""
    name, index = _target(reader, target)
    before = reader.value(name)
    if type(before) is list:
        place = reader.need_value(index)
        if type(place) is int and -len(before) <= place < len(before):
            before[place] = value
            return
    if UNKNOWN in (before, value) or _holds(index, lambda one: one is UNKNOWN):
        reader.store(name, UNKNOWN, at)
        return
    fixed = _fixed(reader, index, target)
    if fixed is None:
        _store_where(reader, name, before, index, value, target)
        return
    buffer = _buffer(reader, before, name)
    if buffer is UNKNOWN:
        reader.store(name, UNKNOWN, at)
        return
    value = reader.tensor(value, at)
    shape = shape_of(reader, at, value)
    if shape is UNKNOWN:
        reader.store(name, UNKNOWN, at)
        return
    try:
        buffer.write(fixed, value, shape)
    except (ValueError, IndexError) as error:
        raise reader.fault(
            target, "shape_mismatch", f"no such part to assign to: {str(error)[:160]}"
        ) from None
    reader.env[name.id] = buffer
    reader.last = name.id


def _buffer(reader: Reader, before: Value, name: ast.Name) -> Any:
    """The array that `before` is, to be filled; UNKNOWN where its shape is."""
    if isinstance(before, Buffer):
        return before
    before = reader.tensor(before, name)
    shape = shape_of(reader, name, before)
    if shape is UNKNOWN:
        return UNKNOWN
    if not shape:
        raise reader.fault(name, "syntax", "a number has no elements")
    reader.tape.spend(math.prod(shape))
    return Buffer(before, shape)


def augment(
    reader: Reader, target: ast.Subscript, kind: ast.operator, value: Value, at: ast.AST
) -> None:
    """`name[index] += value` and its kin."""
    name, index = _target(reader, target)
    before = reader.value(name)
    if UNKNOWN in (before, value) or _holds(index, lambda one: one is UNKNOWN):
        reader.store(name, UNKNOWN, at)
        return
    if type(before) is not list and _fixed(reader, index, target) is None:
        _augment_where(reader, name, before, index, kind, value, target)
        return
    old = item(reader, before, index, target)
    store(reader, target, reader.combine(kind, old, value, at), at)


def _mask(reader: Reader, before: Value, index: Value, at: ast.AST) -> Any:
    """For a mask, or [range(N), y]: where the array is meant, as truth values of its shape.

    None for other indices; UNKNOWN where shapes are.
    """
    shape = shape_of(reader, at, before)
    if shape is UNKNOWN:
        return UNKNOWN
    if reader.tape.is_truth(index):
        own = shape_of(reader, at, index)
        if shape[: len(own)] != own:
            raise reader.fault(at, "shape_mismatch", f"a mask of {own} for an array of {shape}")
        if len(own) < len(shape):
            wide = [*own, *(1,) * (len(shape) - len(own))]
            index = reader.emit("reshape", [index], {"shape": wide}, at)
        return index
    column = _labels(reader, index, shape, at)
    if column is None:
        return None
    nothing = np.broadcast_to(np.float64(0.0), shape)
    ones = np.ones((shape[0], 1))
    reader.tape.spend(shape[0])
    hits = reader.emit("scatter_add", [nothing, column, ones], {"axis": 1}, at)
    return reader.emit("greater", [hits, 0.5], None, at)


def _labels(reader: Reader, index: Value, shape: Shape, at: ast.AST) -> Value | None:
    """For `[range(N), y]` of a matrix: y as a column; None for another index."""
    if not isinstance(index, tuple) or len(index) != 2 or len(shape) != 2:
        return None
    rows = index[0]
    rows = reader.need_value(rows) if type(rows) is Known and not rows.roots else rows
    if not isinstance(rows, range | np.ndarray | list) or not isinstance(index[1], Node):
        return None
    if not np.array_equal(np.asarray(rows), np.arange(shape[0])):
        return None
    if shape_of(reader, at, index[1]) != (shape[0],):
        return None
    return reader.emit("reshape", [index[1]], {"shape": [shape[0], 1]}, at)


def _wide(reader: Reader, value: Value, at: ast.AST, masked: bool) -> Value:
    """What is assigned, as it broadcasts against the array."""
    value = reader.tensor(value, at)
    shape = shape_of(reader, at, value)
    if shape is UNKNOWN or not shape:
        return value
    if masked or len(shape) != 1:
        raise reader.fault(
            at, "syntax", "only a number can be assigned where a mask selects", "write where(…)"
        )
    return reader.emit("reshape", [value], {"shape": [shape[0], 1]}, at)


def _store_where(
    reader: Reader, name: ast.Name, before: Value, index: Value, value: Value, at: ast.AST
) -> None:
    masked = reader.tape.is_truth(index)
    before = reader.tensor(before, at)
    mask = _mask(reader, before, index, at)
    if mask is None:
        raise _no_assignment(reader, at)
    if mask is not UNKNOWN:
        mask = reader.emit("where", [mask, _wide(reader, value, at, masked), before], None, at)
    reader.store(name, mask, at)


def _augment_where(
    reader: Reader,
    name: ast.Name,
    before: Value,
    index: Value,
    kind: ast.operator,
    value: Value,
    at: ast.AST,
) -> None:
    masked = reader.tape.is_truth(index)
    before = reader.tensor(before, at)
    mask = _mask(reader, before, index, at)
    if mask is None:
        raise _no_assignment(reader, at)
    if mask is not UNKNOWN:
        changed = reader.combine(kind, before, _wide(reader, value, at, masked), at)
        mask = reader.emit("where", [mask, changed, before], None, at)
    reader.store(name, mask, at)


def _no_assignment(reader: Reader, at: ast.AST) -> Exception:
    return reader.fault(
        at,
        "syntax",
        "an assignment at places that depend on values",
        "a mask, x[x < 0] = 0, and x[range(N), y] = 0 are read; else write where(…)",
    )
