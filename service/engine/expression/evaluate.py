"""Expressions: what a piece of the syntax tree comes to."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from service.engine.expression import arrays, calls, subscripts
from service.engine.expression.hints import HINTS, NO_NUMBER, foreign, of_constant, word
from service.engine.expression.values import (
    MAX_FAULTS,
    UNKNOWN,
    DType,
    Known,
    Node,
    Text,
    Unreadable,
    Value,
    every,
    is_number,
)
from service.engine.numpy_compat import CONSTANTS, DTYPES, MODULES, dotted_name
from service.engine.operators import REGISTRY
from service.engine.registry import Operator

if TYPE_CHECKING:
    from service.engine.expression.reader import Reader

_Fold = Callable[[Any, Any], Any]
_MOST_BITS = 62


def _divided(a: Any, b: Any) -> Any:
    return float(np.float64(a) / np.float64(b))


def _power(a: Any, b: Any) -> Any:
    if type(a) is int and type(b) is int and b >= 0 and a.bit_length() * b <= _MOST_BITS:
        return a**b
    return float(np.float64(a) ** np.float64(b))


def _floored(a: Any, b: Any) -> Any:
    return a // b if b else float(np.floor_divide(np.float64(a), np.float64(b)))


def _remainder(a: Any, b: Any) -> Any:
    return a % b if b and math.isfinite(a) else float(np.remainder(np.float64(a), np.float64(b)))


_BINARY: dict[type[ast.operator], tuple[str, _Fold | None]] = {
    ast.Add: ("add", lambda a, b: a + b),
    ast.Sub: ("subtract", lambda a, b: a - b),
    ast.Mult: ("multiply", lambda a, b: a * b),
    ast.Div: ("divide", _divided),
    ast.Pow: ("pow", _power),
    ast.MatMult: ("matmul", None),
    ast.Mod: ("remainder", _remainder),
    ast.FloorDiv: ("floor_divide", _floored),
    ast.BitAnd: ("logical_and", lambda a, b: a & b),
    ast.BitOr: ("logical_or", lambda a, b: a | b),
    ast.BitXor: ("not_equal", lambda a, b: a ^ b),
}
_OPERATORS: dict[type[ast.operator], Operator] = {
    kind: REGISTRY[op] for kind, (op, _) in _BINARY.items() if op in REGISTRY
}
_BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor)
_COMPARE: dict[type[ast.cmpop], tuple[str, _Fold]] = {
    ast.Lt: ("less", lambda a, b: a < b),
    ast.LtE: ("less_equal", lambda a, b: a <= b),
    ast.Gt: ("greater", lambda a, b: a > b),
    ast.GtE: ("greater_equal", lambda a, b: a >= b),
    ast.Eq: ("equal", lambda a, b: a == b),
    ast.NotEq: ("not_equal", lambda a, b: a != b),
}


def value(reader: Reader, at: ast.expr) -> Value:
    """What an expression comes to. Raises Unreadable once its fault is noted."""
    known = _EXPRESSIONS.get(type(at))
    if known is None:
        raise reader.fault(
            at,
            "syntax",
            f"{word(at)} cannot be read as a node of a graph",
            HINTS.get(type(at).__name__),
        )
    return known(reader, at)


def each(reader: Reader, expressions: list[ast.expr]) -> list[Value]:
    """What several expressions come to; the faults of all of them are noted."""
    values, failed = [], None
    for at in expressions:
        try:
            values.append(value(reader, at))
        except Unreadable as error:
            if len(reader.faults) >= MAX_FAULTS:
                raise
            failed = error
    if failed is not None:
        raise failed
    return values


def is_literal(at: ast.AST) -> bool:
    """Whether an expression is made of numbers alone, np.pi and its kin among them."""
    if isinstance(at, ast.Constant):
        return True
    if isinstance(at, ast.UnaryOp):
        return is_literal(at.operand)
    if isinstance(at, ast.BinOp):
        while isinstance(at, ast.BinOp):
            if not is_literal(at.right):
                return False
            at = at.left
        return is_literal(at)
    if isinstance(at, ast.List | ast.Tuple):
        return all(map(is_literal, at.elts))
    if isinstance(at, ast.Attribute):
        return dotted_name(at) is not None
    if isinstance(at, ast.Call):  # np.array([…]), float(3)
        spelled = dotted_name(at.func) or (isinstance(at.func, ast.Name) and at.func.id)
        return spelled in ("array", "asarray", "float64", "float") and all(map(is_literal, at.args))
    return False


def name(reader: Reader, at: ast.Name) -> Value:
    """The value of a name: what was assigned to it, or else the input of that name."""
    known = reader.env.get(at.id)
    if known is not None:
        return known
    if at.id in reader.env or at.id in reader.tape.inputs:
        return reader.env.get(at.id, reader.tape.inputs.get(at.id))
    if at.id in MODULES:
        raise reader.fault(
            at, "syntax", f"'{at.id}' is a module", f"call what is in it: {at.id}.exp(x)"
        )
    if at.id in DTYPES:
        return DType(at.id)
    if "·" in at.id:
        raise reader.fault(
            at,
            "syntax",
            "a dot in the middle of a name",
            "write * for a product, @ for one of matrices",
        )
    node = reader.tape.input(at.id, None, at)
    reader.env[at.id] = node
    return node


def _constant(reader: Reader, at: ast.Constant) -> Value:
    given = at.value
    kind = type(given)
    if kind is float or kind is bool or given is None or given is ...:
        return given
    if kind is int:
        if abs(given) >= 2**63:  # type: ignore[arg-type]
            try:
                return float(given)  # type: ignore[arg-type]
            except OverflowError:
                raise reader.fault(at, "syntax", "an integer too large for a float") from None
        return given
    if kind is str:
        return Text(given)  # type: ignore[arg-type]
    raise reader.fault(at, "syntax", f"{kind.__name__} is no number", NO_NUMBER)


def _binary(reader: Reader, at: ast.BinOp) -> Value:
    spine: list[ast.BinOp] = []
    inner: ast.expr = at
    while type(inner) is ast.BinOp:
        spine.append(inner)
        inner = inner.left
    left, failed = None, None
    try:
        left = value(reader, inner)
    except Unreadable as error:
        failed = error
    for one in reversed(spine):
        if failed is None:
            right = value(reader, one.right)
            left = combine(reader, one.op, left, right, one)
        else:
            if len(reader.faults) >= MAX_FAULTS:
                raise failed
            value(reader, one.right)
    if failed is not None:
        raise failed
    return left


def combine(reader: Reader, kind: ast.operator, left: Value, right: Value, at: ast.AST) -> Value:
    """`left op right`."""
    sort = type(kind)
    one, other, tape = type(left), type(right), reader.tape
    if (
        sort in _PLAIN
        and ((one is Node and other in _NODES_AND_NUMBERS) or (other is Node and one in _NUMBERS))
        and not tape.quiet
        and not (tape.truths and tape.is_truth(left) and tape.is_truth(right))
    ):
        return tape.emit(_OPERATORS[sort], (left, right), None, at)
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if sort not in _BINARY:
        raise reader.fault(at, "syntax", f"the operator {sort.__name__} is not read")
    fold = _BINARY[sort][1]
    if is_number(left) and is_number(right) and fold is not None:
        return folded(reader, fold, left, right, at)
    if isinstance(left, list | tuple) or isinstance(right, list | tuple):
        joined = _sequence(reader, sort, left, right, at)
        if joined is not None:
            return joined
    if (arrays.whole_array(left) and (arrays.whole_array(right) or type(right) is int)) or (
        arrays.whole_array(right) and type(left) is int
    ):
        made = arrays.arithmetic(reader, sort, left, right)
        if made is not None:
            return made
    left, right = reader.tensor(left, at), reader.tensor(right, at)
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    node = _emit_binary(reader, sort, left, right, at)
    if type(left) is Known or type(right) is Known:
        return _still_known(reader, fold, left, right, node, at)
    return node


_NUMBERS = frozenset((float, int))
_NODES_AND_NUMBERS = frozenset((Node, float, int))
_PLAIN = frozenset((ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.MatMult))


def _emit_binary(
    reader: Reader, sort: type[ast.operator], left: Value, right: Value, at: ast.AST
) -> Value:
    tape = reader.tape
    truths = tape.is_truth(left) and tape.is_truth(right)
    if sort in _BITWISE and not truths:
        if sort is ast.BitXor and not (tape.is_truth(left) or tape.is_truth(right)):
            raise reader.fault(at, "syntax", "the operator BitXor is not read", "a power is x ** 2")
        if tape.specs is None:
            return reader.needs()
        sign = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}[sort]
        raise reader.fault(
            at,
            "dtype",
            f"{sign} joins truth values, and these are numbers",
            f"compare first, in brackets: (a > 0) {sign} (b > 0)",
        )
    if truths:
        if sort is ast.Add:
            return reader.emit("logical_or", (left, right), None, at)
        if sort is ast.Mult:
            return reader.emit("logical_and", (left, right), None, at)
        if sort is ast.Sub:
            raise reader.fault(
                at, "dtype", "NumPy has no difference of truth values", "write a != b, or a & ~b"
            )
    whole = sort in (ast.FloorDiv, ast.Mod) and tape.is_truth(right)
    if whole and (truths or type(left) is int):  # NumPy computes in integers: x // 0 is 0
        raise reader.fault(at, "dtype", "a division by truth values", "write y.astype(float)")
    if sort is ast.FloorDiv and ast.FloorDiv not in _OPERATORS:
        return reader.emit("floor", [reader.emit("divide", (left, right), None, at)], None, at)
    op = _OPERATORS[sort]
    if op.attributes:
        return reader.emit(op, (left, right), None, at)
    return tape.emit(op, (left, right), None, at)


def folded(reader: Reader, fold: _Fold, left: Any, right: Any, at: ast.AST) -> Any:
    """Arithmetic of numbers, of bounded size."""
    try:
        with np.errstate(all="ignore"):
            made = fold(left, right)
    except TypeError:
        raise reader.fault(
            at, "syntax", "these numbers have no such operation", "a power is x ** 2"
        ) from None
    except (OverflowError, ZeroDivisionError):
        return math.nan
    return float(made) if type(made) is int and abs(made) >= 2**63 else made


def _still_known(
    reader: Reader, fold: _Fold | None, left: Value, right: Value, node: Value, at: ast.AST
) -> Value:
    """The node with its value, where that of both operands is known to be a number."""
    values, roots = [], frozenset[int]()
    for one in (left, right):
        if type(one) is Known:
            roots |= one.roots
            one = one.value
        if not is_number(one):
            return node
        values.append(one)
    if fold is None or type(node) is not Node:
        return node
    try:
        return Known(node.position, folded(reader, fold, values[0], values[1], at), roots)
    except Unreadable:
        return node


def _sequence(
    reader: Reader, sort: type[ast.operator], left: Value, right: Value, at: ast.AST
) -> Value:
    """Python's sum of two lists, and repetition; None where it means arithmetic of arrays."""
    both = isinstance(left, list | tuple) and type(left) is type(right)
    if sort is ast.Add and both:
        reader.tape.spend(len(left) + len(right))
        return left + right
    if sort is ast.Mult:
        for parts, times in ((left, right), (right, left)):
            if type(times) is int and isinstance(parts, list | tuple):
                reader.tape.spend(len(parts) * max(times, 0))
                return parts * times
    return None


def in_place(reader: Reader, before: Value, change: Value, at: ast.AST) -> None:
    """Refuse what NumPy can't do in place: an array grown by broadcasting."""
    if reader.tape.specs is None or not isinstance(before, Node) or not isinstance(change, Node):
        return
    own, other = reader.spec(before, at), reader.spec(change, at)
    if own is None or other is None or not own.shape:
        return
    try:
        whole = np.broadcast_shapes(own.shape, other.shape)
    except ValueError:
        return
    if whole != own.shape:
        raise reader.fault(
            at,
            "shape_mismatch",
            f"an array of shape {own.shape} can't take {other.shape} in place",
            "write y = x + …: a new array",
        )


def _unary(reader: Reader, at: ast.UnaryOp) -> Value:
    operand = value(reader, at.operand)
    if operand is UNKNOWN:
        return UNKNOWN
    if is_number(operand):
        if isinstance(at.op, ast.USub):
            return -operand
        if isinstance(at.op, ast.Not):
            return not operand
        if isinstance(at.op, ast.UAdd):
            return +operand
        if type(operand) is bool:
            return not operand
    tensor = reader.tensor(operand, at)
    if tensor is UNKNOWN:
        return UNKNOWN
    truth = reader.tape.is_truth(tensor)
    if isinstance(at.op, ast.Not):
        return reader.emit("logical_not", [tensor], None, at)
    if isinstance(at.op, ast.Invert):
        if not truth:
            if reader.tape.specs is None:
                return reader.needs()
            raise reader.fault(
                at, "dtype", "~ turns truth values over, and this is a number", "compare it first"
            )
        return reader.emit("logical_not", [tensor], None, at)
    if truth:
        raise reader.fault(
            at, "dtype", "NumPy has no sign for truth values", "write ~x, or where(x, -1, 0)"
        )
    if isinstance(at.op, ast.UAdd):
        return operand
    node = reader.emit("negative", [tensor], None, at)
    if type(tensor) is Known and is_number(tensor.value) and type(node) is Node:
        return Known(node.position, -tensor.value, tensor.roots)
    return node


def _boolean(reader: Reader, at: ast.BoolOp) -> Value:
    values = each(reader, at.values)
    whole = values[0]
    joins = isinstance(at.op, ast.And)
    for other in values[1:]:
        if whole is UNKNOWN or other is UNKNOWN:
            whole = UNKNOWN
        elif is_number(whole):
            whole = other if bool(whole) is joins else whole
        elif reader.tape.is_truth(whole) and (reader.tape.is_truth(other) or type(other) is bool):
            whole = reader.emit("logical_and" if joins else "logical_or", (whole, other), None, at)
        else:  # Python gives one of the operands
            truth = reader.emit("not_equal", (whole, 0.0), None, at)
            pair = (other, whole) if joins else (whole, other)
            whole = reader.emit("where", (truth, *pair), None, at)
    return whole


def _compare(reader: Reader, at: ast.Compare) -> Value:
    values = each(reader, [at.left, *at.comparators])
    whole: Value = None
    for place, op in enumerate(at.ops):
        left, right = values[place], values[place + 1]
        absent = isinstance(op, ast.Is | ast.IsNot) and (left is None or right is None)
        if type(op) not in _COMPARE and not absent:
            hint = {
                ast.Is: "write ==",
                ast.IsNot: "write !=",
                ast.In: "compare one by one: (x == 1) | (x == 2)",
                ast.NotIn: "compare one by one: (x != 1) & (x != 2)",
            }.get(type(op))
            raise reader.fault(
                at, "syntax", f"the comparison {type(op).__name__} is not read", hint
            )
        name, fold = _COMPARE.get(type(op), ("", operator.eq))
        one: Value
        if absent:
            one = (left is right) is isinstance(op, ast.Is)
        elif left is UNKNOWN or right is UNKNOWN:
            one = UNKNOWN
        elif _plain(reader, left) and _plain(reader, right):
            one = bool(fold(_bare(left), _bare(right)))
        else:
            one = reader.emit(name, (left, right), None, at)
        if whole is None or whole is True:
            whole = one
        elif whole is False or one is True:
            pass
        elif whole is UNKNOWN or one is UNKNOWN:
            whole = UNKNOWN
        else:
            whole = reader.emit("logical_and", (whole, one), None, at)
    return whole


def _plain(reader: Reader, one: Value) -> bool:
    """Whether this is compared as Python compares it, while the graph is built."""
    if isinstance(one, tuple):
        return every(reader.tape, one, lambda part: not isinstance(part, np.ndarray))
    return is_number(one) or one is None or isinstance(one, Text)


def _bare(one: Value) -> Any:
    return one.text if isinstance(one, Text) else one


def _conditional(reader: Reader, at: ast.IfExp) -> Value:
    test = value(reader, at.test)
    if is_number(test):
        return value(reader, at.body if test else at.orelse)
    if test is UNKNOWN:
        for branch in (at.body, at.orelse):
            reader.tentatively(lambda branch=branch: value(reader, branch))  # type: ignore[misc]
        return UNKNOWN
    first, second = each(reader, [at.body, at.orelse])
    if isinstance(test, Node) and not reader.tape.is_truth(test):
        test = reader.emit("not_equal", (test, 0.0), None, at)
    return reader.emit("where", (test, first, second), None, at)


def _list(reader: Reader, at: ast.List) -> Value:
    return each(reader, at.elts)


def _tuple(reader: Reader, at: ast.Tuple) -> Value:
    return tuple(each(reader, at.elts))


def _attribute(reader: Reader, at: ast.Attribute) -> Value:
    spelled = dotted_name(at)
    if spelled is not None and not _shadowed(reader, at):
        if spelled in CONSTANTS:
            return CONSTANTS[spelled]
        if spelled in DTYPES:
            return DType(spelled)
        raise reader.fault(at, "syntax", f"no constant '{at.attr[:64]}'", of_constant(at.attr))
    if (told := foreign(at, reader.env)) is not None:
        raise reader.fault(at, "syntax", f"'{told[0]}' is not read", told[1])
    owner = value(reader, at.value)
    return arrays.attribute(reader, owner, at)


def _shadowed(reader: Reader, at: ast.expr) -> bool:
    """Whether the name that a dotted name starts with was assigned in the text."""
    while isinstance(at, ast.Attribute):
        at = at.value
    return isinstance(at, ast.Name) and at.id in reader.env


def _slice(reader: Reader, at: ast.Slice) -> Value:
    bounds = []
    for part in (at.lower, at.upper, at.step):
        bound = None if part is None else reader.need_value(value(reader, part))
        if bound is UNKNOWN:
            return UNKNOWN
        if bound is not None and type(bound) is not int:
            raise reader.fault(
                part or at,
                "syntax",
                "an index is a plain integer here",
                "use take(x, indices) for others",
            )
        bounds.append(bound)
    if bounds[2] == 0:
        raise reader.fault(at, "syntax", "a step of 0 leads nowhere")
    return slice(*bounds)


_EXPRESSIONS: dict[type[ast.expr], Callable[[Any, Any], Value]] = {
    ast.Name: name,
    ast.Constant: _constant,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.List: _list,
    ast.Tuple: _tuple,
    ast.Attribute: _attribute,
    ast.Subscript: subscripts.load,
    ast.Slice: _slice,
    ast.Call: calls.call,
}
