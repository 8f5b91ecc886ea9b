"""Source text as a graph: Python's syntax, parsed and never executed.

One or more assignments make named nodes, the last one is the output; a bare expression
is a graph of its own. `x = 3` makes an input with a default, as the note's example
values do; names that are never assigned are inputs without one.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from service.engine.errors import Fault, GraphError, OperatorError
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.registry import REGISTRY, Operator

MAX_LENGTH = 100_000
MAX_NESTING = 90
"""Brackets deeper than this are refused: Python's own parser allows about two hundred."""
_MAX_FAULTS = 20

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
    ast.Mod: "remainder",
    ast.BitAnd: "logical_and",
    ast.BitOr: "logical_or",
}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}
_FOLD: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: float(np.float64(a) / np.float64(b)),
    ast.Pow: lambda a, b: float(np.float64(a) ** np.float64(b)),
}
_CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan}
_MODULES = {"math", "np", "numpy", "linalg"}
_NUMPY = {
    "transpose": "matrix_transpose",
    "norm": "vector_norm",
    "fabs": "abs",
    "prod": "prod",
    "swapaxes": "",
    "clip": "clip",
    "logaddexp": "",
}
"""Spellings of NumPy that mean another name here; empty ones are refused with a hint."""
_POSITIONAL = {
    "reshape": ("shape",),
    "broadcast_to": ("shape",),
    "sum": ("axis", "keepdims"),
    "mean": ("axis", "keepdims"),
    "max": ("axis", "keepdims"),
    "min": ("axis", "keepdims"),
    "expand_dims": ("axis",),
    "squeeze": ("axis",),
    "softmax": ("axis",),
    "log_softmax": ("axis",),
    "clip": ("min", "max"),
    "take": ("axis",),
    "permute_dims": ("axes",),
    "einsum": ("equation",),
}
"""Attributes that people write without their names, behind the inputs."""
_TO_THE_END = 2**31 - 1
_Value = str | float | bool
"""What an expression comes to: the name of a node, or a literal."""


def parse_expression(text: str) -> GraphSpec:
    """The graph that `text` describes.

    Raises GraphError with the faults found: `syntax` with line and column,
    `unknown_operator` with a suggestion, `attribute`.
    """
    tree = _tree(text)
    reader = _Reader()
    reader.read(tree)
    if reader.faults:
        raise GraphError(reader.faults)
    return reader.spec


def _tree(text: str) -> ast.Module:
    """The syntax tree; GraphError where there is none."""
    if len(text) > MAX_LENGTH:
        raise _refused(f"source text of more than {MAX_LENGTH} characters")
    depth, deepest = 0, 0
    for bracket in re.findall(r"[()\[\]]", text):
        depth += 1 if bracket in "([" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING:
        raise _refused(f"brackets nested deeper than {MAX_NESTING}", "name the inner parts")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, mode="exec")
    except SyntaxError as error:
        raise GraphError(
            [
                Fault(
                    "syntax",
                    f"not Python's syntax: {error.msg}",
                    pointer="/expression",
                    line=error.lineno,
                    column=error.offset,
                )
            ]
        ) from None
    except (ValueError, MemoryError, RecursionError):
        raise _refused(
            "source text that Python's parser refuses", "break long or deep expressions into stages"
        ) from None


def _refused(what: str, hint: str | None = None) -> GraphError:
    return GraphError([Fault("syntax", what, pointer="/expression", line=1, column=1, hint=hint)])


class _Unreadable(Exception):
    """A part of the text was refused and its fault noted."""


class _Reader:
    """Turns statements into nodes. The tree is walked with a stack of its own, since a
    long sum is as deep as it is long."""

    def __init__(self) -> None:
        self.spec = GraphSpec([], [], [], places={})
        self.faults: list[Fault] = []
        self.assigned: dict[str, _Value] = {}
        self.parts: dict[str, list[str]] = {}
        self.inputs: set[str] = set()
        self.taken: set[str] = set()
        self.count = 0

    def read(self, tree: ast.Module) -> None:
        for found in ast.walk(tree):
            if isinstance(found, ast.Name):
                self.taken.add(found.id)
        last: _Value | None = None
        if not tree.body:
            self.faults.append(
                Fault("syntax", "there is no expression", pointer="/expression", line=1, column=1)
            )
        for number, statement in enumerate(tree.body):
            if len(self.faults) >= _MAX_FAULTS:
                return
            try:
                last = self._statement(statement, number == len(tree.body) - 1)
            except _Unreadable:
                last = None
        if self.faults or last is None:
            return
        if not isinstance(last, str):
            last = self._node("identity", [last], {}, tree.body[-1], self._free("output"))
        self.spec.output = last

    def _fault(
        self, at: ast.AST, code: str, detail: str, hint: str | None = None, op: str | None = None
    ) -> _Unreadable:
        line = getattr(at, "lineno", 1)
        column = getattr(at, "col_offset", 0) + 1
        self.faults.append(
            Fault(code, detail, op=op, pointer="/expression", hint=hint, line=line, column=column)
        )
        return _Unreadable()

    def _statement(self, statement: ast.stmt, last: bool) -> _Value:
        if isinstance(statement, ast.Expr):
            if not last:
                raise self._fault(
                    statement,
                    "syntax",
                    "an expression whose value nobody keeps",
                    "give it a name: y = …",
                )
            return self._value(statement.value, self._free("output"))
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets: list[ast.expr] = [statement.target]
            value: ast.expr = statement.value
        elif isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        else:
            raise self._fault(
                statement,
                "syntax",
                f"{_word(statement)}: only assignments and one last expression are read",
            )
        if len(targets) != 1:
            raise self._fault(statement, "syntax", "one name for each assignment, please")
        target = targets[0]
        if isinstance(target, ast.Tuple) and all(isinstance(t, ast.Name) for t in target.elts):
            return self._unpack([t.id for t in target.elts if isinstance(t, ast.Name)], value)
        if not isinstance(target, ast.Name):
            raise self._fault(target, "syntax", "only a name can be assigned to")
        return self._assign(target, value)

    def _assign(self, target: ast.Name, value: ast.expr) -> _Value:
        name = target.id
        if name in self.assigned or name in self.inputs:
            raise self._fault(
                target,
                "syntax",
                f"'{name[:64]}' is assigned after it was used or assigned",
                "give each stage a name of its own",
            )
        given = _literal(value)
        if given is not None:
            self._leaf(name, given, target)
            self.assigned[name] = name
            return name
        made = self._value(value, name)
        if made != name:  # an alias of another node, or a folded number
            made = self._node("identity", [made], {}, value, name)
        self.assigned[name] = made
        return made

    def _unpack(self, names: list[str], value: ast.expr) -> _Value:
        if isinstance(value, ast.Tuple) and len(value.elts) == len(names):
            results = [
                self._assign(ast.copy_location(ast.Name(name), value), part)
                for name, part in zip(names, value.elts, strict=True)
            ]
            return results[-1]
        made = self._value(value, self._fresh())
        if not isinstance(made, str):
            raise self._fault(value, "syntax", "a number has no parts")
        for index, name in enumerate(names):
            self.assigned[name] = self._node("identity", [f"{made}.{index}"], {}, value, name)
        return self.assigned[names[-1]]

    def _free(self, wanted: str) -> str:
        return wanted if wanted not in self.taken else self._fresh()

    def _fresh(self) -> str:
        """The next unused name for an intermediate."""
        while True:
            self.count += 1
            name = f"_{self.count}"
            if name not in self.taken:
                return name

    def _node(
        self, op: str, inputs: list[_Value], attrs: dict[str, Any], at: ast.AST, name: str
    ) -> str:
        spec = self.spec
        position = len(spec.ids)
        spec.ids.append(name)
        spec.ops.append(op)
        spec.inputs.append(inputs)
        if attrs:
            spec.attrs[position] = attrs
        assert spec.places is not None
        spec.places[position] = (getattr(at, "lineno", 1), getattr(at, "col_offset", 0) + 1)
        return name

    def _leaf(self, name: str, value: Any, at: ast.AST) -> None:
        position = len(self.spec.ids)
        self._node("input", [], {}, at, name)
        self.spec.leaves[position] = Leaf("input", value)

    def _name(self, at: ast.Name) -> _Value:
        name = at.id
        if name in self.assigned:
            return self.assigned[name]
        if name not in self.inputs:
            self.inputs.add(name)
            self._leaf(name, None, at)
        return name

    def _value(self, root: ast.expr, name: str) -> _Value:
        """What an expression comes to; its outermost node is called `name`.

        Depth first with an explicit stack: a frame is an expression, its operands still
        to be read, and the values of those read.
        """
        stack: list[tuple[ast.expr, list[ast.expr], list[_Value]]] = [
            (root, self._operands(root), [])
        ]
        while True:
            expression, rest, values = stack[-1]
            if rest:
                operand = rest.pop(0)
                stack.append((operand, self._operands(operand), []))
                continue
            stack.pop()
            value = self._combine(expression, values, None if stack else name)
            if not stack:
                return value
            stack[-1][2].append(value)

    def _operands(self, at: ast.expr) -> list[ast.expr]:
        """The parts of an expression that are nodes of the graph themselves."""
        match at:
            case ast.Name() | ast.Constant():
                return []
            case ast.BinOp():
                return [at.left, at.right]
            case ast.UnaryOp():
                return [at.operand]
            case ast.BoolOp():
                return list(at.values)
            case ast.Compare():
                return [at.left, *at.comparators]
            case ast.IfExp():
                return [at.test, at.body, at.orelse]
            case ast.Subscript():
                return [at.value]
            case ast.Attribute() if _dotted(at) is None:
                return [at.value]
            case ast.Attribute():
                return []
            case ast.Call():
                return self._call_operands(at)
            case _:
                raise self._fault(at, "syntax", f"{_word(at)} cannot be read as a node of a graph")

    def _combine(self, at: ast.expr, values: list[_Value], name: str | None) -> _Value:
        match at:
            case ast.Name():
                return self._name(at)
            case ast.Constant():
                return self._number(at)
            case ast.BinOp():
                return self._binary(at, values, name)
            case ast.UnaryOp():
                return self._unary(at, values[0], name)
            case ast.BoolOp():
                op = "logical_and" if isinstance(at.op, ast.And) else "logical_or"
                return self._chain(op, values, at, name)
            case ast.Compare():
                return self._compare(at, values, name)
            case ast.IfExp():
                return self._emit("where", values, {}, at, name)
            case ast.Subscript():
                return self._subscript(at, values[0], name)
            case ast.Attribute():
                return self._attribute(at, values, name)
            case ast.Call():
                return self._call(at, values, name)
        raise AssertionError("operands were taken of it")

    def _emit(
        self, op: str, inputs: list[_Value], attrs: dict[str, Any], at: ast.AST, name: str | None
    ) -> str:
        return self._node(op, inputs, attrs, at, name or self._fresh())

    def _number(self, at: ast.Constant) -> _Value:
        if isinstance(at.value, bool):
            return at.value
        if isinstance(at.value, int | float):
            try:
                return float(at.value)
            except OverflowError:
                raise self._fault(at, "syntax", "an integer too large for a float") from None
        raise self._fault(at, "syntax", f"{type(at.value).__name__} is no number")

    def _binary(self, at: ast.BinOp, values: list[_Value], name: str | None) -> _Value:
        op = _BINARY.get(type(at.op))
        if op is None:
            raise self._fault(at, "syntax", f"the operator {type(at.op).__name__} is not read")
        left, right = values
        fold = _FOLD.get(type(at.op))
        if fold is not None and isinstance(left, float) and isinstance(right, float):
            with np.errstate(all="ignore"):
                return fold(left, right)
        return self._emit(op, values, {}, at, name)

    def _unary(self, at: ast.UnaryOp, value: _Value, name: str | None) -> _Value:
        if isinstance(at.op, ast.UAdd):
            return value
        if isinstance(at.op, ast.USub):
            return (
                -value
                if isinstance(value, float)
                else self._emit("negative", [value], {}, at, name)
            )
        return self._emit("logical_not", [value], {}, at, name)

    def _chain(self, op: str, values: list[_Value], at: ast.AST, name: str | None) -> _Value:
        whole = values[0]
        for place, value in enumerate(values[1:], 2):
            whole = self._emit(op, [whole, value], {}, at, name if place == len(values) else None)
        return whole

    def _compare(self, at: ast.Compare, values: list[_Value], name: str | None) -> _Value:
        pairs = []
        for place, op in enumerate(at.ops):
            if type(op) not in _COMPARE:
                raise self._fault(at, "syntax", f"the comparison {type(op).__name__} is not read")
            alone = name if len(at.ops) == 1 else None
            pair = [values[place], values[place + 1]]
            pairs.append(self._emit(_COMPARE[type(op)], pair, {}, at, alone))
        return self._chain("logical_and", list(pairs), at, name)

    def _attribute(self, at: ast.Attribute, values: list[_Value], name: str | None) -> _Value:
        if not values:  # math.pi and the like
            assert _dotted(at) is not None
            if at.attr in _CONSTANTS:
                return _CONSTANTS[at.attr]
            raise self._fault(at, "syntax", f"no constant '{at.attr[:64]}'", "pi, e, inf or nan")
        if at.attr == "T":
            return self._emit("matrix_transpose", values, {}, at, name)
        raise self._fault(
            at, "syntax", f"the attribute '.{at.attr[:64]}' is not read", "only .T and methods are"
        )

    def _subscript(self, at: ast.Subscript, value: _Value, name: str | None) -> _Value:
        """An index or slices: `slice`, then the axes of plain indices squeezed away."""
        if not isinstance(value, str):
            raise self._fault(at, "syntax", "a number has no elements")
        parts = list(at.slice.elts) if isinstance(at.slice, ast.Tuple) else [at.slice]
        starts, stops, axes, steps, dropped, added = [], [], [], [], [], []
        dots = next((i for i, p in enumerate(parts) if _is_ellipsis(p)), None)
        axis, place = 0, 0
        if dots is not None:
            behind = sum(not _is_none(p) for p in parts[dots + 1 :])
        for index, part in enumerate(parts):
            if index == dots:
                axis, place = -behind, -behind
                continue
            if _is_none(part):
                added.append(place)
                place += 1
                continue
            if isinstance(part, ast.Slice):
                first, last, step = (
                    None if bound is None else self._integer(bound)
                    for bound in (part.lower, part.upper, part.step)
                )
                step = 1 if step is None else step
                back = step < 0
                first = (_TO_THE_END if back else 0) if first is None else first
                last = (-_TO_THE_END if back else _TO_THE_END) if last is None else last
                place += 1
            else:
                first = self._integer(part)
                last, step = (first + 1 if first != -1 else _TO_THE_END), 1
                dropped.append(axis)
            if (first, last, step) != (0, _TO_THE_END, 1):
                starts.append(first)
                stops.append(last)
                axes.append(axis)
                steps.append(step)
            axis += 1
        if added and dots is not None:
            raise self._fault(at, "syntax", "None beside ... is not read", "use expand_dims")
        stages: list[tuple[str, dict[str, Any]]] = []
        if starts:
            sliced = {"starts": starts, "stops": stops, "axes": axes}
            stages.append(("slice", {**sliced, "steps": steps} if set(steps) != {1} else sliced))
        if dropped:
            stages.append(("squeeze", {"axis": dropped}))
        if added:
            stages.append(("expand_dims", {"axis": added}))
        for number, (op, attrs) in enumerate(stages, 1):
            value = self._emit(op, [value], attrs, at, name if number == len(stages) else None)
        return value

    def _integer(self, at: ast.expr) -> int:
        value = _literal(at)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**31:
            return int(value)
        raise self._fault(
            at, "syntax", "an index is a plain integer here", "use take(x, indices) for others"
        )

    def _function(self, at: ast.Call) -> tuple[str, ast.expr | None]:
        """The name that is called, and the value whose method it is, if any."""
        called = at.func
        if isinstance(called, ast.Name):
            return called.id, None
        if isinstance(called, ast.Attribute):
            return called.attr, (None if _dotted(called) is not None else called.value)
        raise self._fault(at, "syntax", "only a named function can be called")

    def _operator(self, at: ast.Call) -> Operator:
        called, _ = self._function(at)
        found = _NUMPY.get(called, called) if not isinstance(at.func, ast.Name) else called
        if called == "transpose" and isinstance(at.func, ast.Name):
            found = "matrix_transpose"
        if found not in REGISTRY or REGISTRY[found].group == "leaf":
            near = REGISTRY.suggest(called)
            raise self._fault(
                at,
                "unknown_operator",
                f"no operator '{called[:64]}'",
                f"did you mean '{near}'?" if near else "GET /v1/operators lists them all",
                called[:64],
            )
        return REGISTRY[found]

    def _arguments(self, at: ast.Call) -> tuple[Operator, list[ast.expr], dict[str, ast.expr]]:
        """Operator, input expressions, and attribute expressions by name."""
        op = self._operator(at)
        _, owner = self._function(at)
        given = ([owner] if owner is not None else []) + list(at.args)
        attributes: dict[str, ast.expr] = {}
        for keyword in at.keywords:
            if keyword.arg is None:
                raise self._fault(at, "syntax", "** is not read")
            attributes[keyword.arg] = keyword.value
        if any(isinstance(one, ast.Starred) for one in given):
            raise self._fault(at, "syntax", "* is not read")
        if op.name == "einsum" and given and _text(given[0]) is not None:
            attributes["equation"] = given.pop(0)
        listed = given[0] if given and (op.variadic or op.gate) else None
        if isinstance(listed, ast.List | ast.Tuple):
            if given[1:]:
                attributes.setdefault("axis", given[1])
            given = list(listed.elts)
        inputs = given
        if (
            op.gate
            and len(given) == 2
            and _is_axis(given[1])
            and _literal(given[0]) is None
            and isinstance(at.func, ast.Attribute)
        ):
            inputs, attributes["axis"] = given[:1], given[1]
        elif not op.variadic and not op.gate:
            most = len(op.inputs)
            inputs, behind = given[:most], given[most:]
            names = [n for n in _POSITIONAL.get(op.name, ()) if n not in attributes]
            if op.name in ("reshape", "broadcast_to", "permute_dims") and len(behind) > 1:
                behind = [ast.copy_location(ast.Tuple(behind, ast.Load()), behind[0])]
            if len(behind) > len(names):
                raise self._fault(
                    at,
                    "arity",
                    f"{op.name} takes {most} input{'s' if most != 1 else ''}, here {len(given)}",
                    op=op.name,
                )
            attributes.update(zip(names, behind, strict=False))
        return op, inputs, attributes

    def _call_operands(self, at: ast.Call) -> list[ast.expr]:
        return self._arguments(at)[1]

    def _call(self, at: ast.Call, values: list[_Value], name: str | None) -> _Value:
        op, _, attributes = self._arguments(at)
        if op.gate and len(values) >= 2:
            op = REGISTRY[op.gate]
        attrs: dict[str, Any] = {}
        for attribute, expression in attributes.items():
            attrs[attribute] = self._attribute_value(expression, attribute, op)
        try:
            op.attrs(attrs)
        except OperatorError as error:
            raise self._fault(
                at, "attribute", f"{op.name}: {error.fault.detail}", error.fault.hint, op.name
            ) from None
        return self._emit(op.name, values, attrs, at, name)

    def _attribute_value(self, at: ast.expr, name: str, op: Operator) -> Any:
        if isinstance(at, ast.Constant) and (at.value is None or isinstance(at.value, bool | str)):
            return at.value
        value = _plain(at)
        if value is None:
            raise self._fault(
                at, "attribute", f"the attribute '{name[:64]}' must be a literal", op=op.name
            )
        return value


def _word(at: ast.AST) -> str:
    """What a piece of syntax is called."""
    names = {
        "ListComp": "a comprehension",
        "GeneratorExp": "a comprehension",
        "Lambda": "a lambda",
        "FunctionDef": "a function",
        "For": "a loop",
        "While": "a loop",
        "Import": "an import",
        "ImportFrom": "an import",
        "If": "an if statement",
        "AugAssign": "an assignment in place",
        "List": "a list",
        "Tuple": "a tuple",
        "Dict": "a dictionary",
        "JoinedStr": "a string",
        "NamedExpr": "an assignment inside an expression",
        "Await": "an await",
    }
    return names.get(type(at).__name__, type(at).__name__)


def _dotted(at: ast.Attribute) -> str | None:
    """The module path in front of an attribute (`np.linalg`), if it is one we accept."""
    owner = at.value
    while isinstance(owner, ast.Attribute) and owner.attr in _MODULES:
        owner = owner.value
    return owner.id if isinstance(owner, ast.Name) and owner.id in _MODULES else None


def _plain(at: ast.expr) -> Any:
    """A literal number, or list or tuple of such, with integers kept; None for anything else."""
    sign = 1
    while isinstance(at, ast.UnaryOp) and isinstance(at.op, ast.USub | ast.UAdd):
        sign = -sign if isinstance(at.op, ast.USub) else sign
        at = at.operand
    if isinstance(at, ast.Constant) and isinstance(at.value, int | float):
        return at.value if isinstance(at.value, bool) else sign * at.value
    if isinstance(at, ast.Attribute) and _dotted(at) and at.attr == "inf":
        return "inf" if sign > 0 else "-inf"
    if isinstance(at, ast.List | ast.Tuple):
        parts = [_plain(part) for part in at.elts]
        return None if any(part is None for part in parts) else parts
    return None


def _literal(at: ast.expr) -> Any:
    """A float, bool, or array for a literal value; None for anything else."""
    value = _plain(at)
    if isinstance(value, bool):
        return value
    try:
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, list):
            flat = _flat_kinds(value)
            return np.asarray(value, bool if flat == {bool} else float) if flat else None
    except (ValueError, OverflowError):
        return None
    return None


def _flat_kinds(value: list[Any]) -> set[type]:
    kinds: set[type] = set()
    stack: list[Any] = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, list):
            stack.extend(one)
        else:
            kinds.add(type(one))
    return kinds


def _text(at: ast.expr) -> str | None:
    return at.value if isinstance(at, ast.Constant) and isinstance(at.value, str) else None


def _is_none(at: ast.expr) -> bool:
    return (isinstance(at, ast.Constant) and at.value is None) or (
        isinstance(at, ast.Attribute) and at.attr == "newaxis"
    )


def _is_ellipsis(at: ast.expr) -> bool:
    return isinstance(at, ast.Constant) and at.value is ...


def _is_axis(at: ast.expr) -> bool:
    value = _plain(at)
    return isinstance(value, int) and not isinstance(value, bool)
