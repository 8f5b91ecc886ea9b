"""From code on tensors to rows over one flat memory, for the compiled way.

Every value has a place: an offset and a stride for every axis. What rearranges or picks
shares the memory of its input, and its adjoint the memory of that one's gradient, so that it
costs nothing either way. The rows backward follow from those forward; which there are depends
on what is asked for, not on values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from service.engine.code import Code, Step
from service.engine.errors import OperatorError, Shape
from service.engine.namespaces import ARRAYS
from service.engine.operators import REGISTRY
from service.engine.operators.contraction import terms_of
from service.engine.operators.indexing import slices_of
from service.engine.operators.leaves import PROJECT
from service.engine.registry import TensorSpec
from service.engine.run.backward import reached_from
from service.engine.run.number_code import split
from service.engine.run.opcodes import opcodes
from service.engine.run.row_loops import BLOCK, ROW_FIELDS, reduction
from service.engine.shapes import checked_axes

_NUMBERS = ("float64", "bool")
_MOST_ROWS = 256
"""Rows of one step: where strides don't let it be fewer."""


NOTHING, BETWEEN = -1, -2
"""In place of the slot of an input: a number without a gradient, a step's own intermediate."""


class Unfit(Exception):
    """The code goes another way."""


class Place(NamedTuple):
    """Where a tensor stands in the memory, in numbers."""

    offset: int
    shape: Shape
    strides: Shape


def contiguous(offset: int, shape: Shape) -> Place:
    """A tensor whose elements stand side by side."""
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return Place(offset, shape, tuple(reversed(strides)))


def _spread(place: Place, shape: Shape) -> Place:
    """The place repeated up to a shape: a stride of 0 along what is repeated."""
    missing = len(shape) - len(place.shape)
    strides = [
        0 if have != want else stride
        for have, want, stride in zip(place.shape, shape[missing:], place.strides, strict=True)
    ]
    return Place(place.offset, shape, (*(0,) * missing, *strides))


@dataclass(slots=True)
class _Row:
    """One operation: the slots of its inputs, and everything of the row but its backward form."""

    slot: int
    sources: tuple[int, ...]
    operation: int
    key: Any
    """What finds its backward form: an opcode's key, or the name of a reduction."""
    fields: list[int]


@dataclass(slots=True)
class Lowered:
    """Rows of a code; the memory is laid out by `places`, constants are put there by `fill`."""

    code: Code
    places: list[Place | None]
    rows: list[_Row] = field(default_factory=list)
    size: int = 0
    constants: list[tuple[int, Any]] = field(default_factory=list)
    fixed: dict[int, Any] = field(default_factory=dict)
    """Values that follow from constants alone, by slot."""
    views: dict[int, int] = field(default_factory=dict)
    """Slot → slot of which it is a view."""

    def forward_rows(self) -> Any:
        rows = [[row.operation, *row.fields] for row in self.rows]
        return np.array(rows, np.int64).reshape(-1, ROW_FIELDS)

    def backward_rows(self, outputs: Iterable[int], wanted: Collection[int]) -> tuple[Any, Any]:
        """Rows of the backward sweep, and a flag for each slot that a path joins to an output."""
        needed = reached_from(self.code, wanted)
        joined = bytearray(len(self.code.steps))
        for slot in outputs:
            joined[slot] = 1
        table = opcodes()
        found: list[list[int]] = []
        rows = iter(reversed(self.rows))
        row = next(rows, None)
        for slot in range(len(joined) - 1, -1, -1):
            mine = []
            while row is not None and row.slot == slot:
                mine.append(row)
                row = next(rows, None)
            if not joined[slot] or not needed[slot]:
                continue
            if slot in self.views:
                joined[self.views[slot]] = 1
            for one in mine:
                bits = sum(
                    1 << i
                    for i, source in enumerate(one.sources)
                    if source == BETWEEN or (source >= 0 and needed[source])
                )
                if isinstance(one.key, str):
                    if bits:
                        fields = list(one.fields)
                        if one.key == "contract":
                            fields[15] = bits
                        found.append([reduction(one.key, True), *fields])
                else:
                    code = table.backward[one.key, bits]
                    bits = table.backward_texts[code][1]
                    if bits:
                        found.append([code, *one.fields])
                for i, source in enumerate(one.sources):
                    if bits >> i & 1 and source >= 0:
                        joined[source] = 1
        return np.array(found, np.int64).reshape(-1, ROW_FIELDS), joined


def lower(code: Code) -> Lowered:
    """The rows of a code. Raises Unfit for what the compiled way has no operation for."""
    return _Lowering(code).lower()


def _collapsed(shape: Shape, strides: Sequence[Shape]) -> tuple[list[int], list[list[int]]]:
    """The axes of several operands as few as can be: sizes, and the strides of each operand."""
    sizes: list[int] = []
    kept: list[list[int]] = [[] for _ in strides]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        steps = [one[axis] for one in strides]
        if sizes and all(have[-1] == step * size for have, step in zip(kept, steps, strict=True)):
            sizes[-1] *= size
            for have, step in zip(kept, steps, strict=True):
                have[-1] = step
        else:
            sizes.append(size)
            for have, step in zip(kept, steps, strict=True):
                have.append(step)
    return sizes, kept


class _Lowering:
    def __init__(self, code: Code) -> None:
        self.code = code
        self.out = Lowered(code, [None] * len(code.steps))
        self.literals: dict[tuple[float, float], int] = {}
        self.parts: dict[int, tuple[int, list[Place]]] = {}
        """Slots with several results: the slot that they are parts of, and where they are."""
        self.slot = 0

    def lower(self) -> Lowered:
        out = self.out
        for slot, step in enumerate(self.code.steps):
            self.slot = slot
            if step.operator is PROJECT:
                source, parts = self.parts[step.inputs[0]]
                out.places[slot] = self._view(source, parts[step.attrs["index"]])
            elif step.operator.name in ("split", "unstack"):
                self._split(step)
            elif step.specs:
                raise Unfit
            elif step.inputs and all(source in out.fixed for source in step.inputs):
                out.places[slot] = self._folded(step)
            elif step.operator.group == "leaf":
                out.places[slot] = self._leaf(step)
            else:
                out.places[slot] = self._step(step)
        return out

    def _new(self, shape: Shape) -> Place:
        place = contiguous(self.out.size, shape)
        self.out.size += math.prod(shape)
        return place

    def _leaf(self, step: Step) -> Place | None:
        if not step.spec.size or (step.value is None and step.spec.dtype not in _NUMBERS):
            raise Unfit
        if step.value is not None:
            return self._constant(step.value, step.spec)
        return self._new(step.spec.shape)

    def _constant(self, value: Any, spec: TensorSpec) -> Place | None:
        """The place of a value that is known; None for whole numbers, which no row reads."""
        self.out.fixed[self.slot] = value
        if spec.dtype not in _NUMBERS:
            if spec.floating:
                raise Unfit
            return None
        place = self._new(spec.shape)
        self.out.constants.append((place.offset, np.asarray(value, np.float64).ravel()))
        return place

    def _folded(self, step: Step) -> Place | None:
        """A step whose inputs are constants is one too."""
        inputs = [self.out.fixed[source] for source in step.inputs]
        try:
            with np.errstate(all="ignore"):
                value = ARRAYS.function(step.operator)(*inputs, **step.attrs)
        except (OperatorError, np.linalg.LinAlgError):
            raise Unfit from None
        return self._constant(value, step.spec)

    def _literal(self, number: float) -> Place:
        key = (number, math.copysign(1.0, number))
        if key not in self.literals:
            place = self._new(())
            self.out.constants.append((place.offset, np.array([number])))
            self.literals[key] = place.offset
        return Place(self.literals[key], (), ())

    def _step(self, step: Step) -> Place:
        op = step.operator
        if step.spec.dtype not in _NUMBERS or not step.spec.size:
            raise Unfit
        inputs = [self.out.places[source] for source in step.inputs]
        if op.elementwise:
            if None in inputs or len(inputs) != op.arity[0]:
                raise Unfit
            key = (REGISTRY.codes[op.name], *split(op, step.attrs))
            return self._elementwise(key, inputs, step.inputs, self._new(step.spec.shape))  # type: ignore[arg-type]
        method: Callable[..., Place] | None = getattr(self, f"_{op.name}", None)
        if method is None or (None in inputs and op.name != "take"):
            raise Unfit
        return method(step, *inputs, **step.attrs)

    def _view(self, source: int, place: Place) -> Place:
        self.out.views[self.slot] = source
        return place

    def _row(
        self,
        operation: int,
        key: Any,
        sources: tuple[int, ...],
        sizes: Sequence[int],
        operands: Sequence[tuple[int, Sequence[int]]],
        attributes: int = 0,
    ) -> None:
        """Rows of up to three loops; what is beyond them is written out."""
        outer, inner = sizes[:-3], list(sizes[-3:])
        if math.prod(outer) > _MOST_ROWS:
            raise Unfit
        inner = [1] * (3 - len(inner)) + inner
        # Of an operand that isn't there, and where there is one number, the stride is 1.
        last = [1] if inner[2] == 1 else []
        for at in product(*map(range, outer)):
            fields = list(inner)
            for offset, strides in operands:
                head, tail = strides[: len(outer)], list(strides[len(outer) :])
                offset += sum(i * stride for i, stride in zip(at, head, strict=True))
                steps = [0] * (3 - len(tail)) + tail
                fields += [offset, *steps[: 3 - len(last)], *last]
            fields += [0, 0, 0, 1] * (4 - len(operands)) + [attributes]
            if fields[:2] == [1, 1] and fields[2] <= BLOCK and set(fields[6:19:4]) == {1}:
                fields[0] = 0 if isinstance(key, tuple) else 1
            self.out.rows.append(_Row(self.slot, sources, operation, key, fields))

    def _elementwise(
        self, key: Any, inputs: Sequence[Place], sources: tuple[int, ...], result: Place
    ) -> Place:
        code, shape, numbers = key
        table = opcodes()
        if (code, shape) not in table.forward:
            raise Unfit
        attributes = 0
        if numbers:
            attributes = self.out.size
            self.out.size += len(numbers)
            self.out.constants.append((attributes, np.array(numbers)))
        places = [result, *(_spread(one, result.shape) for one in inputs)]
        if result.shape:
            sizes, strides = _collapsed(result.shape, [one.strides for one in places])
        else:
            sizes, strides = [], [[]] * len(places)
        operands = [(one.offset, own) for one, own in zip(places, strides, strict=True)]
        self._row(table.forward[code, shape], (code, shape), sources, sizes, operands, attributes)
        return result

    def _copy(self, x: Place, source: int, result: Place) -> None:
        """A copy, whose adjoint is an addition."""
        self._elementwise((_IDENTITY, (), ()), [x], (source,), result)

    def _fill(self, number: float, result: Place) -> None:
        self._elementwise((_IDENTITY, (), ()), [self._literal(number)], (NOTHING,), result)

    # What shares memory.

    def _reshape(self, step: Step, x: Place, **_: Any) -> Place:
        shape = step.spec.shape
        strides = _reshaped(x, shape)
        if strides is not None:
            return self._view(step.inputs[0], Place(x.offset, shape, strides))
        result = self._new(x.shape)
        self._copy(x, step.inputs[0], result)
        return contiguous(result.offset, shape)

    _expand_dims = _squeeze = _reshape

    def _broadcast_to(self, step: Step, x: Place, *, shape: Shape) -> Place:
        return self._view(step.inputs[0], _spread(x, step.spec.shape))

    def _permute_dims(self, step: Step, x: Place, *, axes: Shape) -> Place:
        return self._permuted(step, x, [axis % len(x.shape) for axis in axes])

    def _matrix_transpose(self, step: Step, x: Place) -> Place:
        ndim = len(x.shape)
        return self._permuted(step, x, [*range(ndim - 2), ndim - 1, ndim - 2])

    def _permuted(self, step: Step, x: Place, axes: Sequence[int]) -> Place:
        shape, strides = (tuple(one[i] for i in axes) for one in (x.shape, x.strides))
        return self._view(step.inputs[0], Place(x.offset, shape, strides))

    def _slice(self, step: Step, x: Place, **attrs: Any) -> Place:
        return self._view(step.inputs[0], _part(x, slices_of(len(x.shape), **attrs)))

    def _flip(self, step: Step, x: Place, *, axis: Any) -> Place:
        parts = [slice(None)] * len(x.shape)
        for one in checked_axes(axis, len(x.shape)):
            parts[one] = slice(None, None, -1)
        return self._view(step.inputs[0], _part(x, tuple(parts)))

    def _cast(self, step: Step, x: Place, *, dtype: str) -> Place:
        source = step.inputs[0]
        if dtype != "float64":
            raise Unfit
        if self.code.steps[source].spec.dtype == "float64":
            return self._view(source, x)
        result = self._new(x.shape)
        self._copy(x, source, result)
        return result

    def _split(self, step: Step) -> None:
        (source,) = step.inputs
        x = self.out.places[source]
        axis = step.attrs["axis"] % len(x.shape) if x is not None else 0
        if x is None or any(not spec.size for spec in step.specs):
            raise Unfit
        parts, at = [], 0
        for spec in step.specs:
            strides = x.strides
            if step.operator.name == "unstack":
                strides = (*strides[:axis], *strides[axis + 1 :])
            parts.append(Place(x.offset + at * x.strides[axis], spec.shape, strides))
            at += spec.shape[axis] if step.operator.name == "split" else 1
        self.parts[self.slot] = source, parts

    def _diagonal(self, step: Step, x: Place, *, offset: int) -> Place:
        return self._view(step.inputs[0], _diagonal(x, offset, step.spec.shape))

    def _take(self, step: Step, x: Place, index: Place | None, *, axis: int) -> Place:
        known = self.out.fixed.get(step.inputs[1])
        if known is None:
            raise Unfit
        axis %= len(x.shape)
        size, stride = x.shape[axis], x.strides[axis]
        places = np.asarray(known)
        if (
            places.dtype.kind != "i"
            or places.ndim > 1
            or ((places < -size) | (places >= size)).any()
        ):
            raise Unfit
        whole = (places % size).ravel().tolist()
        steps = set(np.diff(whole).tolist())
        shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
        if len(steps) <= 1:
            own = ((steps or {0}).pop() * stride,) * places.ndim
            strides = (*x.strides[:axis], *own, *x.strides[axis + 1 :])
            return self._view(step.inputs[0], Place(x.offset + whole[0] * stride, shape, strides))
        if len(whole) > _MOST_ROWS:
            raise Unfit
        result = self._new(shape)
        rest = (*shape[:axis], *shape[axis + 1 :])
        for i, at in enumerate(whole):
            source, target = (
                Place(offset, rest, (*strides[:axis], *strides[axis + 1 :]))
                for offset, strides in (
                    (x.offset + at * stride, x.strides),
                    (result.offset + i * result.strides[axis], result.strides),
                )
            )
            self._copy(source, step.inputs[0], target)
        return result

    # What copies.

    def _diagonal_matrix(self, step: Step, x: Place, *, offset: int, **_: Any) -> Place:
        result = self._new(step.spec.shape)
        self._fill(0.0, result)
        self._copy(x, step.inputs[0], _diagonal(result, offset, x.shape))
        return result

    def _tril(self, step: Step, x: Place, *, k: int) -> Place:
        return self._masked(step, x, np.tril(np.ones(x.shape[-2:]), k))

    def _triu(self, step: Step, x: Place, *, k: int) -> Place:
        return self._masked(step, x, np.triu(np.ones(x.shape[-2:]), k))

    def _masked(self, step: Step, x: Place, mask: Any) -> Place:
        flags = self._new(mask.shape)
        self.out.constants.append((flags.offset, mask.ravel()))
        inputs = [flags, x, self._literal(0.0)]
        sources = (NOTHING, step.inputs[0], NOTHING)
        return self._elementwise(_WHERE, inputs, sources, self._new(step.spec.shape))

    def _concat(self, step: Step, *inputs: Place, axis: int) -> Place:
        axis %= len(step.spec.shape)
        result, at = self._new(step.spec.shape), 0
        for x, source in zip(inputs, step.inputs, strict=True):
            size = x.shape[axis]
            if math.prod(x.shape):
                place = result.offset + at * result.strides[axis]
                self._copy(x, source, Place(place, x.shape, result.strides))
            at += size
        return result

    def _stack(self, step: Step, *inputs: Place, axis: int) -> Place:
        axis %= len(step.spec.shape)
        result = self._new(step.spec.shape)
        strides = (*result.strides[:axis], *result.strides[axis + 1 :])
        for i, (x, source) in enumerate(zip(inputs, step.inputs, strict=True)):
            place = Place(result.offset + i * result.strides[axis], x.shape, strides)
            self._copy(x, source, place)
        return result

    def _slice_into(self, step: Step, x: Place, *, shape: Shape, **attrs: Any) -> Place:
        result = self._new(step.spec.shape)
        self._fill(0.0, result)
        part = _part(result, slices_of(len(result.shape), **attrs))
        self._copy(x, step.inputs[0], part)
        return result

    def _pad(self, step: Step, x: Place, *, pads: Shape, value: float, mode: str) -> Place:
        if mode != "constant":
            raise Unfit
        result = self._new(step.spec.shape)
        self._fill(float(value), result)
        parts = tuple(slice(low, low + size) for low, size in zip(pads, x.shape, strict=False))
        self._copy(x, step.inputs[0], _part(result, parts))
        return result

    # What sums.

    def _sum(self, step: Step, x: Place, *, axis: Any, keepdims: bool) -> Place:
        return self._reduced("sum", step, x, axis, self._new(step.spec.shape))

    def _mean(self, step: Step, x: Place, *, axis: Any, keepdims: bool) -> Place:
        total = self._reduced("sum", step, x, axis, self._new(step.spec.shape))
        result = self._new(step.spec.shape)
        count = self._literal(math.prod(x.shape) / step.spec.size)
        return self._elementwise(_DIVIDE, [total, count], (BETWEEN, NOTHING), result)

    def _max(self, step: Step, x: Place, *, axis: Any, keepdims: bool) -> Place:
        return self._reduced("max", step, x, axis, self._new(step.spec.shape))

    def _min(self, step: Step, x: Place, *, axis: Any, keepdims: bool) -> Place:
        return self._reduced("min", step, x, axis, self._new(step.spec.shape))

    def _logsumexp(self, step: Step, x: Place, *, axis: Any, keepdims: bool) -> Place:
        return self._reduced("logsumexp", step, x, axis, self._new(step.spec.shape))

    def _sum_to(self, step: Step, x: Place, *, shape: Shape) -> Place:
        lead = len(x.shape) - len(step.spec.shape)
        axes = tuple(
            i
            for i, size in enumerate(x.shape)
            if i < lead or (step.spec.shape[i - lead] == 1 and size != 1)
        )
        return self._reduced("sum", step, x, axes, self._new(step.spec.shape))

    def _reduced(self, kind: str, step: Step, x: Place, axis: Any, result: Place) -> Place:
        axes = checked_axes(axis, len(x.shape))
        if any(x.shape[i] == 0 for i in axes):
            raise Unfit
        kept = [i for i in range(len(x.shape)) if i not in axes]
        shapes = [[x.shape[i] for i in chosen] for chosen in (kept, axes)]
        strides = [[x.strides[i] for i in chosen] for chosen in (kept, axes)]
        inner, (steps,) = _collapsed(tuple(shapes[1]), [tuple(strides[1])])
        source = step.inputs[0]
        if len(inner) > 1:
            order = [*kept, *axes]
            packed = self._new(tuple(x.shape[i] for i in order))
            moved = Place(x.offset, packed.shape, tuple(x.strides[i] for i in order))
            self._copy(moved, source, packed)
            x, source = packed, BETWEEN
            strides[0] = list(packed.strides[: len(kept)])
            inner, steps = [math.prod(shapes[1])], [1]
        shape = contiguous(result.offset, tuple(shapes[0]))
        outer, (mine, theirs) = _collapsed(shape.shape, [shape.strides, tuple(strides[0])])
        sizes = [*outer, *(inner or [1])]
        operands = [(result.offset, [*mine, 0]), (x.offset, [*theirs, *(steps or [0])])]
        self._row(reduction(kind, False), kind, (source,), sizes, operands)
        return result

    def _matmul(self, step: Step, a: Place, b: Place) -> Place:
        if len(a.shape) > 2 or len(b.shape) > 2:
            raise Unfit
        left = "k" if len(a.shape) == 1 else "ik"
        right = "k" if len(b.shape) == 1 else "kj"
        kept = left.replace("k", "") + right.replace("k", "")
        return self._contracted(step, (left, right), kept, (a, b))

    def _einsum(self, step: Step, *inputs: Place, equation: str) -> Place:
        if len(inputs) != 2:
            raise Unfit
        terms, kept = terms_of(equation, [one.shape for one in inputs])
        return self._contracted(step, terms, kept, inputs)

    def _contracted(
        self, step: Step, terms: Sequence[str], kept: str, inputs: Sequence[Place]
    ) -> Place:
        """The sum of products over the letters that `kept` lacks."""
        sizes: dict[str, int] = {}
        strides: list[dict[str, int]] = []
        for term, x in zip(terms, inputs, strict=True):
            own: dict[str, int] = {}
            for letter, size, stride in zip(term, x.shape, x.strides, strict=True):
                sizes[letter] = size
                own[letter] = own.get(letter, 0) + stride
            strides.append(own)
        summed = [letter for letter in sizes if letter not in kept]
        if math.prod(sizes.values()) > MOST_PRODUCTS:
            raise Unfit
        inner, steps = _collapsed(
            tuple(sizes[c] for c in summed), [tuple(s.get(c, 0) for c in summed) for s in strides]
        )
        if len(inner) > 1:
            raise Unfit
        result = self._new(step.spec.shape)
        shape = contiguous(result.offset, tuple(sizes[c] for c in kept))
        outer, others = _collapsed(
            shape.shape, [shape.strides, *(tuple(s.get(c, 0) for c in kept) for s in strides)]
        )
        operands = [(result.offset, [*others[0], 0])]
        for x, own_outer, own_inner in zip(inputs, others[1:], steps, strict=True):
            operands.append((x.offset, [*own_outer, *(own_inner or [0])]))
        loops = [*outer, *(inner or [1])]
        self._row(reduction("contract", False), "contract", step.inputs, loops, operands)
        return result


MOST_PRODUCTS = 100_000
"""Products of a contraction from which on the libraries that NumPy calls are quicker."""
_IDENTITY = REGISTRY.codes["identity"]
_WHERE, _DIVIDE = ((REGISTRY.codes[name], (), ()) for name in ("where", "divide"))


def _diagonal(x: Place, offset: int, shape: Shape) -> Place:
    """The diagonal of the last two axes, whose places are those of `shape`."""
    *head, down, right = x.strides
    start = offset * right if offset > 0 else -offset * down
    return Place(x.offset + start, shape, (*head, down + right))


def _part(x: Place, slices: tuple[slice, ...]) -> Place:
    offset, shape, strides = x.offset, list(x.shape), list(x.strides)
    for axis, one in enumerate(slices):
        start, stop, step = one.indices(x.shape[axis])
        offset += start * x.strides[axis]
        shape[axis] = len(range(start, stop, step))
        strides[axis] = step * x.strides[axis]
    return Place(offset, tuple(shape), tuple(strides))


def _reshaped(x: Place, shape: Shape) -> Shape | None:
    """The strides of the same elements in another shape; None where that takes a copy."""
    sizes, (steps,) = _collapsed(x.shape, [x.strides])
    strides: list[int] = []
    rest = list(zip(sizes, steps, strict=True))
    for size in reversed(shape):
        if size == 1:
            strides.append(0)
            continue
        if not rest or rest[-1][0] % size:
            return None
        have, step = rest.pop()
        strides.append(step)
        if have != size:
            rest.append((have // size, step * size))
    return tuple(reversed(strides)) if not rest else None
