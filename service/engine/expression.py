"""Source text as a graph: Python's syntax, parsed and never executed.

One or more assignments make named nodes, the last one is the output; a bare expression
is a graph of its own. `x = 3` makes an input with a default, as the note's example
values do; names that are never assigned are inputs without one. Inside an expression a
list of numbers is a constant, and a list of nodes is stacked.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from service.engine.errors import Fault, GraphError, OperatorError
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.literals import (
    LARGEST_INTEGER,
    dotted,
    integer,
    is_ellipsis,
    is_none,
    literal,
    plain,
    text,
)
from service.engine.numpy_compat import (
    ARRAYS,
    CONSTANTS,
    FLATTENED,
    KEYWORDS,
    MODULES,
    NAMES,
    POSITIONAL,
    SPREAD,
)
from service.engine.registry import REGISTRY, Operator

MAX_LENGTH = 50_000
"""Characters of source text: what Python's parser reads in half a tenth of a second."""
MAX_NESTING = 90
"""Brackets deeper than this are refused: Python's own parser allows about two hundred."""
_MAX_FAULTS = 20
_MAX_SUGGESTIONS = 5
"""A suggestion takes milliseconds to find."""

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
_TO_THE_END = 2**31 - 1
_Value = str | float | bool
"""What an expression comes to: the name of a node, or a literal."""


def parse_expression(source: str) -> GraphSpec:
    """The graph that `source` describes.

    Raises GraphError with the faults found: `syntax` with line and column,
    `unknown_operator` with a suggestion, `arity`, `attribute`.
    """
    tree = _tree(source)
    reader = _Reader(source)
    reader.read(tree)
    if reader.faults:
        raise GraphError(reader.faults)
    return reader.spec


def _tree(source: str) -> ast.Module:
    """The syntax tree; GraphError where there is none."""
    if len(source) > MAX_LENGTH:
        raise _refused(f"source text of more than {MAX_LENGTH} characters")
    depth, deepest = 0, 0
    for bracket in re.findall(r"[()\[\]]", source):
        depth += 1 if bracket in "([" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING:
        raise _refused(f"brackets nested deeper than {MAX_NESTING}", "name the inner parts")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, mode="exec")
    except SyntaxError as error:
        raise GraphError(
            [
                Fault(
                    "syntax",
                    f"not Python's syntax: {error.msg[:200]}",
                    pointer="/expression",
                    line=error.lineno or 1,
                    column=max(error.offset or 1, 1),
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

    def __init__(self, source: str) -> None:
        self.lines = None if source.isascii() else re.split(r"\r\n|\r|\n", source)
        self.spec = GraphSpec([], [], [], places={})
        self.faults: list[Fault] = []
        self.assigned: set[str] = set()
        self.inputs: set[str] = set()
        self.several: set[str] = set()
        # Only names that this reader could make up itself need to be known beforehand.
        names = re.findall(r"\b(?:_[0-9]+|output)\b", unicodedata.normalize("NFKC", source))
        self.taken = set(names)
        self.near: dict[str, str | None] = {}
        self.count = 0

    def read(self, tree: ast.Module) -> None:
        last: _Value | None = None
        if not tree.body:
            self.faults.append(
                Fault("syntax", "there is no expression", pointer="/expression", line=1, column=1)
            )
        for number, statement in enumerate(tree.body):
            if len(self.faults) >= _MAX_FAULTS:
                return
            if isinstance(statement, ast.Import) and _is_usual_import(statement):
                continue
            try:
                last = self._statement(statement, number == len(tree.body) - 1)
            except _Unreadable:
                last = None
        if last is None and not self.faults:
            self._fault(tree.body[-1], "syntax", "there is no expression")
        if self.faults or last is None:
            return
        if not isinstance(last, str):
            last = self._node("identity", [last], {}, tree.body[-1], self._free("output"))
        self.spec.output = last

    def _fault(
        self, at: ast.AST, code: str, detail: str, hint: str | None = None, op: str | None = None
    ) -> _Unreadable:
        line, column = self._place(at)
        self.faults.append(
            Fault(code, detail, op=op, pointer="/expression", hint=hint, line=line, column=column)
        )
        return _Unreadable()

    def _place(self, at: ast.AST) -> tuple[int, int]:
        """Line and column from 1; the syntax tree counts columns in bytes, people don't."""
        line, column = getattr(at, "lineno", 1), getattr(at, "col_offset", 0)
        if self.lines is not None and line <= len(self.lines):
            column = len(self.lines[line - 1].encode()[:column].decode(errors="ignore"))
        return line, column + 1

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
        if isinstance(target, ast.Tuple):
            names = [part for part in target.elts if isinstance(part, ast.Name)]
            if names and len(names) == len(target.elts):
                return self._unpack(names, value)
        if not isinstance(target, ast.Name):
            raise self._fault(target, "syntax", "only a name can be assigned to")
        return self._assign(target, value)

    def _assign(self, target: ast.Name, value: ast.expr) -> _Value:
        name = target.id
        self._claim(target)
        given = literal(_unwrapped(value))
        if given is None:
            made = self._value(value, name)
            if isinstance(made, str):
                if made != name:  # an alias of another node
                    self._node("identity", [made], {}, value, name)
                return name
            given = made  # arithmetic of numbers
        return self._leaf(name, given, target)

    def _claim(self, target: ast.Name) -> None:
        """Take a name for a node; each is assigned once, before it is used."""
        name = target.id
        if name in self.assigned or name in self.inputs:
            raise self._fault(
                target,
                "syntax",
                f"'{name[:64]}' is assigned after it was used or assigned",
                "give each stage a name of its own",
            )
        self.assigned.add(name)

    def _unpack(self, targets: list[ast.Name], value: ast.expr) -> _Value:
        """Several names for the outputs of one node, or for as many expressions."""
        if isinstance(value, ast.Tuple) and len(value.elts) == len(targets):
            pairs = zip(targets, value.elts, strict=True)
            return [self._assign(target, part) for target, part in pairs][-1]
        made = self._value(value, self._fresh())
        if not isinstance(made, str):
            raise self._fault(value, "syntax", "a number has no parts")
        if made not in self.several:
            made = self._emit("unstack", [made], {}, value, None)
        for index, target in enumerate(targets):
            self._claim(target)
            self._node("identity", [f"{made}.{index}"], {}, target, target.id)
        return targets[-1].id

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
        spec.places[position] = self._place(at)
        if op in REGISTRY and REGISTRY[op].outputs > 1:
            self.several.add(name)
        return name

    def _leaf(
        self, name: str, value: Any, at: ast.AST, kind: Literal["input", "constant"] = "input"
    ) -> str:
        position = len(self.spec.ids)
        self._node(kind, [], {}, at, name)
        self.spec.leaves[position] = Leaf(kind, value)
        return name

    def _name(self, at: ast.Name) -> _Value:
        name = at.id
        if name not in self.assigned and name not in self.inputs:
            self.inputs.add(name)
            self._leaf(name, None, at)
        return name

    def _value(self, root: ast.expr, name: str) -> _Value:
        """What an expression comes to; its outermost node is called `name`.

        Depth first with an explicit stack: a frame is an expression, its operands still
        to be read (the next one last), and the values of those read. A part that cannot be
        read has the value None, and its neighbours are looked at all the same.
        """
        whole: list[_Value | None] = []
        stack: list[tuple[ast.expr, list[ast.expr], list[_Value | None]]] = [(root, [root], whole)]
        while True:
            expression, rest, values = stack[-1]
            if len(self.faults) >= _MAX_FAULTS:
                raise _Unreadable
            if rest:
                operand = _unwrapped(rest.pop())
                try:
                    stack.append((operand, self._operands(operand)[::-1], []))
                except _Unreadable:
                    values.append(None)
                continue
            stack.pop()
            if not stack:
                break
            stack[-1][2].append(self._read(expression, values, name if len(stack) == 1 else None))
        if whole[0] is None:
            raise _Unreadable
        return whole[0]

    def _read(self, at: ast.expr, values: list[_Value | None], name: str | None) -> _Value | None:
        """What an expression comes to whose operands came to `values`; None on a fault."""
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        try:
            return self._combine(at, known, name)
        except _Unreadable:
            return None

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
            case ast.Attribute():
                return [] if dotted(at) is not None else [at.value]
            case ast.List():
                return [] if literal(at) is not None else list(at.elts)
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
            case ast.List() if values or not at.elts:
                return self._emit("stack", values, {}, at, name)
            case ast.List():
                return self._leaf(name or self._fresh(), literal(at), at, "constant")
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
            if at.attr in CONSTANTS:
                return CONSTANTS[at.attr]
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
        if value in self.several and (place := integer(at.slice)) is not None and place >= 0:
            return f"{value}.{place}"
        parts = list(at.slice.elts) if isinstance(at.slice, ast.Tuple) else [at.slice]
        starts, stops, axes, steps, dropped, added = [], [], [], [], [], []
        dots = next((i for i, p in enumerate(parts) if is_ellipsis(p)), None)
        axis, place = 0, 0  # of the value, and of the result
        if dots is not None:
            behind = sum(not is_none(p) for p in parts[dots + 1 :])
        for index, part in enumerate(parts):
            if index == dots:
                axis, place = -behind, -behind
                continue
            if is_none(part):
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
        value = integer(at)
        if value is not None and abs(value) < _TO_THE_END:
            return value
        raise self._fault(
            at, "syntax", "an index is a plain integer here", "use take(x, indices) for others"
        )

    def _function(self, at: ast.Call) -> tuple[str, ast.expr | None]:
        """The name that is called, and the value whose method it is, if any."""
        called = at.func
        if isinstance(called, ast.Name):
            return called.id, None
        if isinstance(called, ast.Attribute):
            return called.attr, (None if dotted(called) is not None else called.value)
        raise self._fault(at, "syntax", "only a named function can be called")

    def _operator(self, at: ast.Call) -> Operator:
        called, owner = self._function(at)
        found = called if isinstance(at.func, ast.Name) else NAMES.get(called, called)
        if found == "transpose" and len(at.args) + len(at.keywords) + (owner is not None) > 1:
            found = "permute_dims"
        if found in REGISTRY and REGISTRY[found].group not in ("leaf", "internal"):
            return REGISTRY[found]
        if called not in self.near and len(self.near) < _MAX_SUGGESTIONS:
            self.near[called] = REGISTRY.suggest(called)
        near = self.near.get(called)
        raise self._fault(
            at,
            "unknown_operator",
            f"no operator '{called[:64]}'",
            f"did you mean '{near}'?" if near else "GET /v1/operators lists them all",
            called[:64],
        )

    def _arguments(self, at: ast.Call) -> tuple[Operator, list[ast.expr], dict[str, ast.expr]]:
        """Operator, input expressions, and attribute expressions by name."""
        op = self._operator(at)
        called, owner = self._function(at)
        given = ([owner] if owner is not None else []) + list(at.args)
        attributes: dict[str, ast.expr] = {}
        for keyword in at.keywords:
            if keyword.arg is None:
                raise self._fault(at, "syntax", "** is not read")
            name = keyword.arg
            if name not in op.attributes:
                name = KEYWORDS.get(name, name)
            if name in attributes:
                raise self._fault(at, "attribute", f"'{name[:64]}' is given twice", op=op.name)
            attributes[name] = keyword.value
        if any(isinstance(one, ast.Starred) for one in given):
            raise self._fault(at, "syntax", "* is not read")
        if op.name == "einsum" and given and text(given[0]) is not None:
            attributes["equation"] = given.pop(0)
        if called in ("ravel", "flatten"):
            attributes["shape"] = ast.copy_location(ast.Constant(-1), at)
        inputs, behind = self._split(op, given, isinstance(at.func, ast.Name))
        if op.name in SPREAD and len(behind) > 1:
            behind = [ast.copy_location(ast.List(behind, ast.Load()), behind[0])]
        order = POSITIONAL.get(op.name, ("axis",) if op.variadic else ())
        names = [name for name in order if name not in attributes]
        if len(behind) > len(names):
            most = len(op.inputs)
            raise self._fault(
                at,
                "arity",
                f"{op.name} takes {most} input{'s' if most != 1 else ''}, here {len(given)}",
                op=op.name,
            )
        attributes.update(zip(names, behind, strict=False))
        if called == "norm" and op.name == "vector_norm" and not isinstance(at.func, ast.Name):
            kind = attributes.get("ord")
            axis = attributes.get("axis")
            chosen = None if axis is None or is_none(axis) else plain(axis)
            either = chosen is None or (isinstance(chosen, list) and len(chosen) == 2)
            if kind is not None and not is_none(kind) and either:
                raise self._fault(
                    at,
                    "attribute",
                    "whether this is the norm of a vector or of a matrix depends on the shape",
                    "use vector_norm(x, ord=…) or matrix_norm(x, ord=…)",
                    op.name,
                )
        return op, inputs, attributes

    def _split(
        self, op: Operator, given: list[ast.expr], builtin: bool
    ) -> tuple[list[ast.expr], list[ast.expr]]:
        """Positional arguments as inputs and the attributes behind them.

        `max` is the gate when it is Python's own (`builtin`); np.max(x, 0) and x.max(0)
        take an axis.
        """
        if op.variadic or op.gate:
            if given and isinstance(given[0], ast.List | ast.Tuple):
                return list(given[0].elts), given[1:]
            if op.gate and not builtin and len(given) == 2 and integer(given[1]) is not None:
                return given[:1], given[1:]
            return given, []
        return given[: len(op.inputs)], given[len(op.inputs) :]

    def _call_operands(self, at: ast.Call) -> list[ast.expr]:
        return self._arguments(at)[1]

    def _call(self, at: ast.Call, values: list[_Value], name: str | None) -> _Value:
        op, _, attributes = self._arguments(at)
        if op.gate and len(values) >= 2:
            op = REGISTRY[op.gate]
        attrs: dict[str, Any] = {}
        for attribute, expression in attributes.items():
            attrs[attribute] = self._attribute_value(expression, attribute, op)
        if op.name == "tensordot" and isinstance(attrs.get("axes"), list):
            pair = attrs["axes"]
            if len(pair) == 2:
                del attrs["axes"]
                pair = [[one] if isinstance(one, int) else one for one in pair]
                attrs["axes_a"], attrs["axes_b"] = pair
        if op.name in FLATTENED and attrs.get("axis") is None and not isinstance(at.func, ast.Name):
            attrs.pop("axis", None)
            values = [self._emit("reshape", [values[0]], {"shape": [-1]}, at, None), *values[1:]]
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
        value = plain(at)
        if value is None:
            raise self._fault(
                at, "attribute", f"the attribute '{name[:64]}' must be a literal", op=op.name
            )
        parts = value if isinstance(value, list) else [value]
        if any(isinstance(one, int) and abs(one) > LARGEST_INTEGER for one in parts):
            raise self._fault(
                at, "attribute", f"the attribute '{name[:64]}' is too large", op=op.name
            )
        known = op.attributes.get(name)
        return parts if known is not None and known.kind == "ints" else value


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
        "Return": "a return",
        "AugAssign": "an assignment in place",
        "List": "a list",
        "Tuple": "a tuple",
        "Dict": "a dictionary",
        "JoinedStr": "a string",
        "NamedExpr": "an assignment inside an expression",
        "Await": "an await",
    }
    return names.get(type(at).__name__, type(at).__name__)


def _unwrapped(at: ast.expr) -> ast.expr:
    """What stands inside of np.array(…)."""
    while (
        isinstance(at, ast.Call)
        and isinstance(at.func, ast.Attribute)
        and at.func.attr in ARRAYS
        and dotted(at.func) is not None
        and len(at.args) == 1
        and not at.keywords
        and not isinstance(at.args[0], ast.Starred)
    ):
        at = at.args[0]
    return at


def _is_usual_import(at: ast.Import) -> bool:
    """Whether this is the import of a module whose name may stand in front of a function."""
    return all(
        name.name in ("math", "numpy") and (name.asname or name.name) in MODULES
        for name in at.names
    )
