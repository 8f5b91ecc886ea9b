"""Products that sum over named or chosen axes."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from service.engine.errors import OperatorError, Shape
from service.engine.registry import REGISTRY, Attribute, Domain, Example, Operator, TensorSpec
from service.engine.shapes import broadcast, checked_axes, checked_axis, promote
from service.engine.spelling import Spelling


def _vecdot_infer(a: TensorSpec, b: TensorSpec, *, axis: int) -> TensorSpec:
    shape = broadcast(a.shape, b.shape)
    axis = checked_axis(axis, len(shape))
    return TensorSpec((*shape[:axis], *shape[axis + 1 :]), promote(a, b))


REGISTRY.register(
    Operator(
        name="vecdot",
        group="linear algebra",
        numpy=(Spelling("a=x1 b=x2 out * axis", names="vecdot linalg.vecdot"),),
        inputs=("a", "b"),
        summary="The dot product of vectors along an axis.",
        infer=_vecdot_infer,
        expand=lambda xp, a, b, *, axis: xp.sum(a * b, axis=axis),
        attributes={"axis": Attribute("axis", -1, "the axis of the vectors")},
        formula="Σ a * b",
        gradient_formula="da = g * b, db = g * a",
        pattern="switcher",
        domain=Domain(examples=(Example(((3,), (3,))), Example(((2, 3), (3,))))),
    )
)
REGISTRY.register(
    Operator(
        name="outer",
        group="linear algebra",
        numpy=(Spelling("a b out", names="outer linalg.outer"),),
        inputs=("a", "b"),
        summary="Every product of an element of one vector with one of the other.",
        infer=lambda a, b: TensorSpec((a.size, b.size), promote(a, b)),
        expand=lambda xp, a, b: xp.reshape(a, shape=(-1, 1)) * xp.reshape(b, shape=(1, -1)),
        formula="y[i, j] = a[i] * b[j]",
        gradient_formula="da = g @ b, db = a @ g",
        pattern="switcher",
        domain=Domain(examples=(Example(((3,), (4,))),)),
    )
)


def _dot_infer(a: TensorSpec, b: TensorSpec) -> TensorSpec:
    if a.ndim == 0 or b.ndim == 0:
        return TensorSpec(broadcast(a.shape, b.shape), promote(a, b))
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise OperatorError(
            f"the inner dimensions of {a.shape} and {b.shape} differ: {a.shape[-1]} and {inner}",
            shapes=(a.shape, b.shape),
            hint="transpose one of them?",
        )
    return TensorSpec((*a.shape[:-1], *b.shape[:-2], *b.shape[-1:][: b.ndim - 1]), promote(a, b))


def _dot(xp: Any, a: Any, b: Any) -> Any:
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if b.ndim <= 2:
        return xp.matmul(a, b)
    return xp.tensordot(a, b, axes_a=(a.ndim - 1,), axes_b=(b.ndim - 2,))


REGISTRY.register(
    Operator(
        name="dot_product",
        group="linear algebra",
        inputs=("a", "b"),
        summary="NumPy's dot: the matrix product, with numbers as factors; of more than two "
        "dimensions every last axis of a with every last but one of b.",
        infer=_dot_infer,
        expand=_dot,
        formula="a · b",
        gradient_formula="da = g @ b.T, db = a.T @ g",
        pattern="switcher",
        internal=True,
        domain=Domain(
            examples=(
                Example(((2, 3), (3, 4))),
                Example(((3,), (3,))),
                Example(((), (3, 2))),
                Example(((2, 3), (4, 3, 2))),
                Example(((5, 2, 3), (3,))),
            )
        ),
    )
)


def _paired_axes(a: Shape, b: Shape, axes: int, axes_a: Any, axes_b: Any) -> tuple[Shape, Shape]:
    """The contracted axes of both tensors; OperatorError when their sizes differ."""
    if axes_a is None and axes_b is None:
        if not 0 <= axes <= min(len(a), len(b)):
            raise OperatorError(
                f"{a} and {b} have no {axes} axes to sum over", shapes=(a, b), code="attribute"
            )
        left, right = tuple(range(len(a) - axes, len(a))), tuple(range(axes))
    elif axes_a is None or axes_b is None or len(axes_a) != len(axes_b):
        raise OperatorError("axes_a and axes_b come in pairs", code="attribute")
    else:
        left, right = checked_axes(axes_a, len(a)), checked_axes(axes_b, len(b))
    if [a[i] for i in left] != [b[i] for i in right]:
        raise OperatorError(f"the paired axes of {a} and {b} differ in size", shapes=(a, b))
    return left, right


def _tensordot(xp: Any, a: Any, b: Any, *, axes: int, axes_a: Any, axes_b: Any) -> Any:
    left, right = _paired_axes(tuple(a.shape), tuple(b.shape), axes, axes_a, axes_b)
    rows = tuple(i for i in range(a.ndim) if i not in left)
    columns = tuple(i for i in range(b.ndim) if i not in right)
    inner = math.prod(a.shape[i] for i in left)
    over = xp.reshape(xp.permute_dims(a, axes=rows + left), shape=(-1, inner))
    under = xp.reshape(xp.permute_dims(b, axes=right + columns), shape=(inner, -1))
    shape = tuple(a.shape[i] for i in rows) + tuple(b.shape[i] for i in columns)
    return xp.reshape(xp.matmul(over, under), shape=shape)


def _tensordot_infer(a: TensorSpec, b: TensorSpec, **attrs: Any) -> TensorSpec:
    left, right = _paired_axes(a.shape, b.shape, **attrs)
    if a.size == 0 or b.size == 0:
        raise OperatorError("an empty tensor cannot be contracted", shapes=(a.shape, b.shape))
    shape = tuple(n for i, n in enumerate(a.shape) if i not in left)
    shape += tuple(n for i, n in enumerate(b.shape) if i not in right)
    return TensorSpec(shape, promote(a, b))


REGISTRY.register(
    Operator(
        name="tensordot",
        group="linear algebra",
        inputs=("a", "b"),
        summary="Two tensors multiplied and summed over pairs of axes.",
        infer=_tensordot_infer,
        expand=_tensordot,
        attributes={
            "axes": Attribute("int", 2, "how many last axes of a meet the first of b"),
            "axes_a": Attribute("ints", None, "or the axes of a …", nullable=True),
            "axes_b": Attribute("ints", None, "… and those of b they meet", nullable=True),
        },
        formula="Σ a * b over paired axes",
        gradient_formula="da, db = tensordot of g with the other",
        pattern="switcher",
        domain=Domain(
            examples=(
                Example(((2, 3, 4), (3, 4, 2))),
                Example(((2, 3), (4, 2)), {"axes_a": [0], "axes_b": [1]}),
                Example(((2,), (3,)), {"axes": 0}),
            )
        ),
    )
)

_LETTERS = string.ascii_letters


def terms_of(equation: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """The subscripts of every input and of the result, dots written out as letters.

    Raises OperatorError for an equation that doesn't fit.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise OperatorError(
            f"the equation has {len(terms)} terms for {len(shapes)} inputs", code="attribute"
        )
    used = set(equation)
    spare = [letter for letter in _LETTERS if letter not in used]
    most = 0
    full = []
    for term, shape in zip(terms, shapes, strict=True):
        dots = len(shape) - len(term.replace("...", ""))
        if dots < 0 or ("..." not in term and dots != 0):
            raise OperatorError(
                f"'{term[:64]}' does not name the {len(shape)} axes of {shape}",
                code="attribute",
                shapes=(shape,),
            )
        most = max(most, dots if "..." in term else 0)
        full.append((term, dots))
    if most > len(spare):
        raise OperatorError("too many axes for the letters there are", code="attribute")
    run = "".join(spare[:most])
    named = [term.replace("...", run[len(run) - dots :] if dots else "") for term, dots in full]
    if arrow:
        result = right.replace("...", run)
    else:
        letters = "".join(named)
        result = run + "".join(
            sorted(c for c in set(letters) if letters.count(c) == 1 and c not in run)
        )
    known = set("".join(named))
    wrong = [c for c in "".join(named) + result if c not in _LETTERS]
    if wrong or not set(result) <= known or len(set(result)) != len(result):
        raise OperatorError(
            "an equation has letters, commas and one '->'; the result names each letter once",
            code="attribute",
        )
    return named, result


def _sizes(terms: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, size in zip(term, shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise OperatorError(
                    f"the axes named '{letter}' have sizes {sizes[letter]} and {size}",
                    shapes=tuple(shapes),
                )
    return sizes


_MOST_TERMS = 32
"""NumPy takes 64 at most, and a gradient adds some; its search for an order of contraction
takes time that grows with the fourth power of their number."""


def _einsum_infer(*inputs: TensorSpec, equation: str) -> TensorSpec:
    if len(inputs) > _MOST_TERMS:
        raise OperatorError(f"einsum takes at most {_MOST_TERMS} tensors", code="arity")
    shapes = [x.shape for x in inputs]
    terms, result = terms_of(equation, shapes)
    sizes = _sizes(terms, shapes)
    return TensorSpec(tuple(sizes[c] for c in result), promote(*inputs))


def _einsum(*inputs: Any, equation: str) -> Any:
    terms, result = terms_of(equation, [x.shape for x in inputs])
    return np.einsum(f"{','.join(terms)}->{result}", *inputs, optimize=len(inputs) > 1)


def _einsum_rule(
    wanted: Sequence[int], xp: Any, g: Any, y: Any, *inputs: Any, equation: str
) -> list[Any]:
    return [_einsum_part(index, xp, g, y, *inputs, equation=equation) for index in wanted]


def _einsum_part(index: int, xp: Any, g: Any, y: Any, *inputs: Any, equation: str) -> Any:
    """`g` contracted with the other inputs.

    A letter that stands twice in this input (a diagonal) is told apart by an identity
    matrix; one that occurs in this input alone was summed over, and `g` is repeated
    along it.
    """
    shapes = [tuple(x.shape) for x in inputs]
    terms, result = terms_of(equation, shapes)
    sizes = _sizes(terms, shapes)
    spare = (c for c in _LETTERS if c not in set("".join(terms)) and c not in result)
    mine, diagonals = "", []
    for letter in terms[index]:
        if letter in mine:
            fresh = next(spare)
            diagonals.append((letter + fresh, sizes[letter]))
            mine += fresh
        else:
            mine += letter
    others = [(t, x) for i, (t, x) in enumerate(zip(terms, inputs, strict=True)) if i != index]
    given = [(result, g), *others]
    given += [(pair, np.eye(size, dtype=str(y.dtype))) for pair, size in diagonals]
    present = {c for term, _ in given for c in term}
    kept = "".join(c for c in mine if c in present)
    dx = xp.einsum(
        *(x for _, x in given), equation=f"{','.join(term for term, _ in given)}->{kept}"
    )
    lengths = dict(zip(mine, shapes[index], strict=True))
    return xp.reshape(dx, shape=tuple(lengths[c] if c in present else 1 for c in mine))


def _einsum_batch(xp: Any, flags: tuple[bool, ...], *inputs: Any, equation: str) -> Any:
    shapes = [
        tuple(x.shape[1:]) if flag else tuple(x.shape)
        for flag, x in zip(flags, inputs, strict=True)
    ]
    terms, result = terms_of(equation, shapes)
    fresh = next(c for c in _LETTERS if c not in set("".join(terms)))
    named = [fresh + term if flag else term for flag, term in zip(flags, terms, strict=True)]
    return xp.einsum(*inputs, equation=f"{','.join(named)}->{fresh}{result}")


def _einsum_flops(*inputs: TensorSpec, equation: str) -> int:
    shapes = [x.shape for x in inputs]
    terms, _ = terms_of(equation, shapes)
    search = 2_000 * len(inputs) ** 3
    return len(inputs) * math.prod(_sizes(terms, shapes).values()) + search


REGISTRY.register(
    Operator(
        name="einsum",
        onnx="Einsum",
        analytic=True,
        group="linear algebra",
        inputs=("x",),
        variadic=True,
        summary="Products summed over letters, as NumPy's einsum.",
        infer=_einsum_infer,
        forward=_einsum,
        vjp=_einsum_rule,
        batch=_einsum_batch,
        attributes={"equation": Attribute("text", doc="such as 'ij,jk->ik'")},
        flops=_einsum_flops,
        formula="Σ over the letters that the result lacks",
        gradient_formula="each input gets g contracted with the others",
        pattern="switcher",
        code=lambda *inputs, equation: f"np.einsum({equation!r}, {', '.join(inputs)})",
        domain=Domain(
            examples=(
                Example(((2, 3), (3, 4)), {"equation": "ij,jk->ik"}),
                Example(((3, 3),), {"equation": "ii->i"}),
                Example(((3, 3),), {"equation": "ii"}),
                Example(((2, 3),), {"equation": "ij->j"}),
                Example(((2, 3), (4, 3), (4,)), {"equation": "ij,kj,k->i"}),
                Example(((2, 3, 4), (4, 5)), {"equation": "...j,jk->...k"}),
                Example(((2, 3), (2,)), {"equation": "ij,i"}),
            )
        ),
    )
)
