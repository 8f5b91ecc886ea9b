"""Statements read one by one: assignments, loops, and one last expression."""

from __future__ import annotations

import ast
import contextlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from service.engine.control import Limits
from service.engine.errors import Fault, LimitExceeded, OperatorError
from service.engine.expression import evaluate, subscripts
from service.engine.expression.hints import HINTS, NO_EXPRESSION, NO_NUMBER, word
from service.engine.expression.tape import Tape
from service.engine.expression.values import (
    MAX_FAULTS,
    UNKNOWN,
    Known,
    Node,
    Part,
    Several,
    Text,
    Unreadable,
    Value,
    as_array,
    every,
    is_number,
)
from service.engine.numpy_compat import MODULES, dotted_name
from service.engine.operators import REGISTRY
from service.engine.registry import Operator, TensorSpec

MOST_WORK = 3_000_000
"""Pieces of syntax that are read, those in loops once for every round: some seconds."""

_STACKED = 10
"""What a node in a list costs of the elements that a text may make: such lists nest too."""
_GROWN = re.compile(r"(\w+)\s*\.\s*(?:append|extend|insert)\b")
_GROWS = re.compile(r"\.\s*(?:append|extend|insert)")
_EQUALS = re.compile(r"[-+*/@%&|^]=")
_AUGMENTED = re.compile(r"(\w+)\s*(?:\+|-|\*|/|@|%|\*\*|//|&|\||\^)=(?!=)")
_MADE_UP = re.compile(r"\b(?:_[0-9]+|output)\b")
_IDENTITY = REGISTRY["identity"]
_UNSTACK = REGISTRY["unstack"]


class _Continue(Exception):
    """The rest of a loop's body is skipped."""


class _Break(Exception):
    """A loop ends."""


class Reader:
    """Reads a text onto a tape.

    Without the specs of the inputs a text may come to a point where it depends on their
    shapes: then `needs_shapes` is set, what follows is looked through for faults of
    syntax, and no more nodes are made.
    """

    def __init__(self, source: str, limits: Limits, specs: Mapping[str, TensorSpec] | None) -> None:
        self.lines = None if source.isascii() else re.split(r"\r\n|\r|\n", source)
        source = source if self.lines is None else unicodedata.normalize("NFKC", source)
        self.tape = Tape(limits, specs)
        self.limits = limits
        self.faults: list[Fault] = []
        self.env: dict[str, Value] = {}
        self.versions: dict[str, list[int]] = {}
        self.plans: dict[int, Any] = {}
        self.bodies: dict[tuple[int, str], ast.expr] = {}
        self.inlining = 0
        self.sizes: dict[int, int] = {}
        self.near: dict[str, str | None] = {}
        self.needs_shapes = False
        self.loops = 0
        self.unrolls = False
        self.work = 0
        self.displays: dict[str, tuple[list[Value], ast.expr]] = {}
        self.last: str | None = None
        self.grown = set(_GROWN.findall(source)) if _GROWS.search(source) else set[str]()
        self.augmented = set(_AUGMENTED.findall(source)) if _EQUALS.search(source) else set[str]()
        # Only names that this reader could make up itself need to be known beforehand.
        self.taken = set(_MADE_UP.findall(source))

    # Faults and places

    def fault(
        self, at: ast.AST, code: str, detail: str, hint: str | None = None, op: str | None = None
    ) -> Unreadable:
        """Note a fault; the exception is there to be raised. No more nodes are made."""
        line, column = self.place(at.lineno, at.col_offset)  # type: ignore[attr-defined]
        self.faults.append(
            Fault(code, detail, op=op, pointer="/expression", hint=hint, line=line, column=column)
        )
        self.tape.quiet = True
        return Unreadable()

    def place(self, line: int, column: int) -> tuple[int, int]:
        """Line and column from 1; the syntax tree counts columns in bytes, people don't."""
        if self.lines is not None and line <= len(self.lines):
            column = len(self.lines[line - 1].encode()[:column].decode(errors="ignore"))
        return line, column + 1

    def needs(self) -> Value:
        """The text depends on shapes that aren't known."""
        self.needs_shapes = self.tape.quiet = True
        return UNKNOWN

    # Nodes

    def emit(
        self,
        op: str | Operator,
        inputs: Sequence[Value],
        attrs: Mapping[str, Any] | None,
        at: ast.AST,
    ) -> Value:
        """A node of the operator; `attrs` are checked and filled up here."""
        operator = REGISTRY[op] if isinstance(op, str) else op
        if any(value is UNKNOWN for value in inputs):
            return UNKNOWN
        if operator.gate and len(inputs) >= 2:
            operator = REGISTRY[operator.gate]
        tensors = [self.tensor(value, at) for value in inputs]
        if any(value is UNKNOWN for value in tensors):
            return UNKNOWN
        try:
            full = operator.attrs(attrs or {}) if attrs or operator.attributes else None
        except OperatorError as error:
            raise self.fault(
                at,
                "attribute",
                f"{operator.name}: {error.fault.detail}",
                error.fault.hint,
                operator.name,
            ) from None
        return self.tape.emit(operator, tensors, full, at)

    def tensor(self, value: Value, at: ast.AST) -> Value:
        """A value as an operator takes it: a node, a number, or an array."""
        if isinstance(value, Node) or is_number(value) or value is UNKNOWN:
            return value
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, list | tuple | range):
            return self.stacked(list(value), at)
        if isinstance(value, subscripts.Buffer):
            return value.node(self, at)
        if isinstance(value, Several):
            count = f"{value.count} outputs" if value.count else "several outputs"
            raise self.fault(
                at,
                "syntax",
                f"{value.op} has {count}: it is no value by itself",
                f"unpack them: a, b{', c' if value.count == 3 else ''} = {value.op}(…)",
                value.op,
            )
        if isinstance(value, Text):
            raise self.fault(at, "syntax", "str is no number", NO_NUMBER)
        raise self.fault(at, "syntax", f"{word(at)} cannot be read as a node of a graph")

    def stacked(self, parts: list[Value], at: ast.AST) -> Value:
        """A list as a tensor: an array of numbers, or its parts stacked."""
        if any(part is UNKNOWN for part in parts):
            return UNKNOWN
        if every(self.tape, parts, is_number):
            array = as_array(self.tape, parts)
            if array is not None:
                return array
            if parts:
                raise self.fault(at, "syntax", "the rows of a list differ in length")
            raise self.fault(at, "syntax", "an empty list is no tensor")
        self.tape.spend(_STACKED * len(parts))
        return self.emit("stack", parts, {}, at)

    def tentatively(self, read: Callable[[], Any]) -> None:
        """Read what may never be reached, for the names in it: its faults don't count."""
        known = len(self.faults)
        with contextlib.suppress(Unreadable):
            read()
        del self.faults[known:]

    def need_value(self, value: Value) -> Value:
        """A value for the graph to be built by: that of a node is fixed where it is known."""
        if type(value) is Known:
            return self.tape.fix(value)
        return value

    def value(self, at: ast.expr) -> Value:
        """What an expression comes to."""
        return evaluate.value(self, at)

    def inlined(self, body: ast.expr, env: dict[str, Value]) -> Value:
        """What the body of a function of our own comes to, its parameters being `env`."""
        outer, self.env = self.env, env
        self.inlining += 1
        try:
            return evaluate.value(self, body)
        finally:
            self.env = outer
            self.inlining -= 1

    def combine(self, kind: ast.operator, left: Value, right: Value, at: ast.AST) -> Value:
        """`left op right`."""
        return evaluate.combine(self, kind, left, right, at)

    def spec(self, value: Value, at: ast.AST) -> TensorSpec | None:
        """Shape and dtype of a value; None where they aren't known yet."""
        value = self.tensor(value, at)
        if value is UNKNOWN:
            return None
        if isinstance(value, Node):
            if self.tape.specs is None:
                self.needs()
                return None
            try:
                return self.tape.spec(value)
            except OperatorError as error:
                raise self.fault(
                    at, error.fault.code, error.fault.detail, error.fault.hint
                ) from None
        if isinstance(value, np.ndarray):
            return TensorSpec(value.shape, str(value.dtype))
        return TensorSpec((), "bool" if isinstance(value, bool) else "float64")

    # Statements

    def read(self, tree: ast.Module) -> str | None:
        """Read all statements; the name of the output, or None where there is a fault."""
        if not tree.body:
            self.faults.append(
                Fault(
                    "syntax",
                    "there is no expression",
                    pointer="/expression",
                    hint=NO_EXPRESSION,
                    line=1,
                    column=1,
                )
            )
            return None
        *before, final = tree.body
        self.block(before)
        if len(self.faults) < MAX_FAULTS:
            if isinstance(final, ast.Expr) and not _call_for_its_effect(final.value):
                self._last(final.value)
            else:
                self.block([final])
        if self.last is None and not self.faults:
            self.fault(final, "syntax", "there is no expression", NO_EXPRESSION)
        return self.last

    def _last(self, at: ast.expr) -> None:
        try:
            value = evaluate.value(self, at)
            if value is UNKNOWN:
                self.last = at.id if isinstance(at, ast.Name) else "output"
                return
            if isinstance(value, Node) and (name := self._name_of(value)) is not None:
                self.last = name
                return
            value = self.tensor(value, at)
            plain = type(value) in (Node, Known)
            if plain and value.position in self.tape.leaves and self.tape.ids[value.position]:
                self.last = self.tape.ids[value.position]
                return
            if not plain or self.tape.ids[value.position] is not None:
                value = self.emit(_IDENTITY, [value], None, at)
            name = "output" if "output" not in self.taken else self._fresh("output")
            self._bind(name, value, at)
            self.last = name
        except Unreadable:
            pass

    def _name_of(self, node: Node) -> str | None:
        """The name that a node has been given, if it is a node of that name's last version."""
        for name, value in self.env.items():
            if value is node and name in self.versions:
                return name
        return None

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Read statements in order, those behind a faulty one too."""
        for statement in statements:
            if len(self.faults) >= MAX_FAULTS:
                return
            if self.loops:
                self.spend(statement)
            try:
                _STATEMENTS.get(type(statement), Reader._refuse)(self, statement)
            except Unreadable:
                for name in ast.walk(statement):
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                        self.env[name.id] = UNKNOWN
                        self.versions.setdefault(name.id, [])
                        self.last = name.id

    def spend(self, statement: ast.stmt) -> None:
        """Count what it takes to read a statement, those in loops once for every round."""
        size = self.sizes.get(id(statement))
        if size is None:
            size = 4 if isinstance(statement, ast.For | ast.If) else _size(statement)
            self.sizes[id(statement)] = size
        self.work += size
        if self.work > MOST_WORK:
            raise LimitExceeded("nodes", self.limits.nodes, self.limits.nodes + 1)

    def _refuse(self, at: ast.stmt) -> None:
        raise self.fault(
            at,
            "syntax",
            f"{word(at)} is not read: only assignments, loops and one last expression are",
            HINTS.get(type(at).__name__),
        )

    def _expression(self, at: ast.Expr) -> None:
        if isinstance(at.value, ast.Constant) and isinstance(at.value.value, str):
            return  # a comment
        if _call_for_its_effect(at.value):
            evaluate.value(self, at.value)
            return
        function = at.value.func if isinstance(at.value, ast.Call) else None
        if isinstance(function, ast.Name) and function.id == "print":
            raise self.fault(
                at, "syntax", "print is not read", "leave it out: every value is in the answer"
            )
        raise self.fault(
            at, "syntax", "an expression whose value nobody keeps", "give it a name: y = …"
        )

    def _assign(self, at: ast.Assign) -> None:
        value = evaluate.value(self, at.value)
        if type(value) is list:
            self._remember(value, at.value, at.targets)
        for target in at.targets:
            if type(target) is ast.Name:
                self._store_name(target, value, at.value)
            else:
                self.store(target, value, at.value)

    def _annotated(self, at: ast.AnnAssign) -> None:
        if at.value is None:
            raise self.fault(at, "syntax", "a name without a value")
        self.store(at.target, evaluate.value(self, at.value), at.value)

    def _remember(self, value: list[Value], at: ast.expr, targets: list[ast.expr]) -> None:
        """A list of nodes that is assigned to one name is remembered by it."""
        if len(targets) == 1 and isinstance(targets[0], ast.Name):
            name = targets[0].id
            if isinstance(at, ast.List) and not self.loops and name not in self.grown:
                self.displays[name] = value, at

    def _augment(self, at: ast.AugAssign) -> None:
        value = evaluate.value(self, at.value)
        if isinstance(at.target, ast.Name):
            before = evaluate.name(self, ast.copy_location(ast.Name(at.target.id), at.target))
            if type(before) is list and isinstance(at.op, ast.Add):
                if not isinstance(value, list | tuple):
                    raise self.fault(at, "syntax", "a list grows by a list", "use append")
                before.extend(value)
                return
            evaluate.in_place(self, before, value, at)
            self.store(at.target, evaluate.combine(self, at.op, before, value, at), at)
        elif isinstance(at.target, ast.Subscript):
            subscripts.augment(self, at.target, at.op, value, at)
        else:
            raise self.fault(at.target, "syntax", "only a name can be assigned to")

    def store(self, target: ast.expr, value: Value, at: ast.AST) -> None:
        """Assign a value to a name, to several, or to a part of an array."""
        if isinstance(target, ast.Name):
            self._store_name(target, value, at)
        elif isinstance(target, ast.Tuple | ast.List):
            parts = self.parts(value, at, len(target.elts))
            if parts is UNKNOWN:
                parts = [UNKNOWN] * len(target.elts)
            if any(isinstance(one, ast.Starred) for one in target.elts):
                raise self.fault(target, "syntax", "a star is not read", HINTS["Starred"])
            if len(parts) != len(target.elts):
                raise self.fault(
                    target, "syntax", f"{len(target.elts)} names for {len(parts)} values"
                )
            for one, part in zip(target.elts, parts, strict=True):
                self.store(one, part, one)
        elif isinstance(target, ast.Subscript):
            subscripts.store(self, target, value, at)
        else:
            raise self.fault(target, "syntax", "only a name can be assigned to")

    def parts(self, value: Value, at: ast.AST, wanted: int | None = None) -> Any:
        """The parts of a value that is unpacked or gone through: a list, or UNKNOWN."""
        if isinstance(value, list | tuple | range):
            return value
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(value, Several):
            count = value.count if value.count is not None else wanted
            if count is None:
                return self.needs()
            return [subscripts.part(value, i) for i in range(count)]
        if isinstance(value, np.ndarray) and value.ndim:
            self.tape.spend(len(value))
            return value.tolist() if value.ndim == 1 else list(value)
        value = self.tensor(value, at)
        if isinstance(value, Node):
            if wanted is not None and self.tape.specs is None:
                whole = self.emit(_UNSTACK, [value], {}, at)
                if whole is UNKNOWN:
                    return UNKNOWN
                return [subscripts.part(whole, i) for i in range(wanted)]
            spec = self.spec(value, at)
            if spec is None:
                return UNKNOWN
            if spec.shape:
                if wanted not in (None, spec.shape[0]):
                    raise self.fault(at, "syntax", f"{wanted} names for {spec.shape[0]} values")
                return [subscripts.item(self, value, i, at) for i in range(spec.shape[0])]
        raise self.fault(at, "syntax", "a number has no parts")

    def _store_name(self, target: ast.Name, value: Value, at: ast.AST) -> None:
        name = target.id
        if name in MODULES:
            raise self.fault(target, "syntax", f"'{name}' is a module here", "take another name")
        if value is UNKNOWN:
            self.env[name] = UNKNOWN
            self.versions.setdefault(name, [])
            self.last = name
            return
        if name in self.displays and self.displays[name][0] is not value:
            del self.displays[name]
        if type(value) is not Node:
            value = self._as_leaf(name, value, at)
        if isinstance(value, Node):
            if type(value) is Part or self.tape.ids[value.position] not in (None, name):
                value = self._alias(value, at)
            self._bind(name, value, target)
            return
        self.env[name] = value
        self.last = name

    def _alias(self, value: Node, at: ast.AST) -> Value:
        """Another name of a node: a node of its own."""
        whole = self.tape.emit(_IDENTITY, [value], None, at)
        if type(value) is Known and whole is not UNKNOWN:
            return Known(whole.position, value.value, value.roots)
        return whole

    def _bind(self, name: str, value: Value, at: ast.AST) -> None:
        """Let `name` stand for a node that was made for it."""
        self.env[name] = value
        self.last = name
        if value is UNKNOWN:
            self.versions.setdefault(name, [])
            return
        versions = self.versions.get(name)
        if versions is None:
            versions = self.versions[name] = []
            if name in self.tape.inputs:
                versions.append(self.tape.inputs[name].position)
        if not versions or value.position != versions[-1]:
            versions.append(value.position)
            if self.tape.ids[value.position] is None:
                self.tape.ids[value.position] = name

    def _as_leaf(self, name: str, value: Value, at: ast.AST) -> Value:
        """A literal that is assigned becomes an input with a default, an array a constant."""
        if isinstance(value, np.ndarray):
            node = self.tape.constant(value, at)
            return Known(node.position, value, frozenset())
        number = is_number(value)
        if not (number or type(value) is list) or self.tape.quiet or self.loops:
            return value
        if name in self.augmented or name in self.grown or name in self.tape.inputs:
            return value
        if not isinstance(at, ast.expr) or not evaluate.is_literal(at):
            return value
        if number:
            default: Any = value if isinstance(value, bool) else float(value)
        else:
            if not value or not every(self.tape, value, is_number):
                return value
            default = as_array(self.tape, value)
            if default is None:
                return value
            if default.dtype.kind == "i":
                default = default.astype(np.float64)
        if name in self.env:  # assigned again: another number
            node = self.tape.leaf("constant", default, at)
            return Known(node.position, value, frozenset())
        node = self.tape.input(name, default, at)
        return Known(node.position, value, frozenset([node.position]))

    # Loops and conditions

    def _for(self, at: ast.For) -> None:
        if at.orelse:
            raise self.fault(at, "syntax", "else behind a loop is not read", "leave it out")
        parts = self.parts(self.need_value(evaluate.value(self, at.iter)), at.iter)
        if parts is UNKNOWN:
            parts = [UNKNOWN]
        elif not self.tape.quiet:
            self.limits.check("nodes", len(parts) * _least(self, at.body))
        self.loops += 1
        self.unrolls = True
        try:
            for part in parts:
                if len(self.faults) >= MAX_FAULTS:
                    return
                self.work += 1
                self._loop_variable(at.target, part, at.iter)
                try:
                    self.block(at.body)
                except _Continue:
                    continue
                except _Break:
                    break
                if self.tape.quiet:
                    break
        finally:
            self.loops -= 1

    def _loop_variable(self, target: ast.expr, part: Value, at: ast.AST) -> None:
        if isinstance(target, ast.Name) and not isinstance(part, np.ndarray):
            self.env[target.id] = part
            return
        self.store(target, part, at)

    def _if(self, at: ast.If) -> None:
        test = evaluate.value(self, at.test)
        if test is UNKNOWN:
            for branch in (at.body, at.orelse):
                self.tentatively(lambda branch=branch: self.block(branch))  # type: ignore[misc]
            return
        if not is_number(test):
            raise self.fault(at, "syntax", "an if statement whose condition is a node", HINTS["If"])
        self.block(at.body if test else at.orelse)

    def _import(self, at: ast.Import) -> None:
        for name in at.names:
            if name.name not in ("math", "numpy") or (name.asname or name.name) not in MODULES:
                raise self.fault(at, "syntax", "an import is not read", HINTS["Import"])

    def _pass(self, at: ast.stmt) -> None:
        return

    def _continue(self, at: ast.stmt) -> None:
        raise _Continue

    def _break(self, at: ast.stmt) -> None:
        raise _Break

    # Names

    def _fresh(self, base: str) -> str:
        number = 1
        while f"{base}_{number}" in self.taken:
            number += 1
        self.taken.add(f"{base}_{number}")
        return f"{base}_{number}"

    def names(self) -> tuple[list[str], dict[int, str]]:
        """Ids for all nodes, and labels for those that are shown by other names.

        A name that is assigned again names its last node; earlier ones are numbered.
        An input keeps its name as its id, since requests go by it, and is shown as number 0.
        """
        ids: list[str | None] = self.tape.ids
        labels: dict[int, str] = {}
        again = [one for one in self.versions.items() if len(one[1]) > 1]
        taken = {*ids, *self.env} if again else set()
        for name, positions in again:
            first = positions[0]
            is_input = name in self.tape.inputs and self.tape.inputs[name].position == first
            start = 0 if is_input else 1
            for number, position in enumerate(positions[:-1], start):
                new = f"{name}_{number}"
                while new in taken:
                    new += "_"
                if position == first and is_input:
                    labels[position] = new
                else:
                    ids[position] = new
            if is_input:
                last = f"{name}_{len(positions) - 1}"
                while last in taken:
                    last += "_"
                ids[positions[-1]], labels[positions[-1]] = last, name
            else:
                ids[positions[-1]] = name
        count = 0
        for position, known in enumerate(ids):
            if known is None:
                count += 1
                while f"_{count}" in self.taken:
                    count += 1
                ids[position] = f"_{count}"
        return ids, labels  # type: ignore[return-value]

    def finish_displays(self) -> None:
        """Lists of computed parts that nobody used, as the note's dx = [w[0]*ddot, …]: stacked."""
        for name, (parts, at) in list(self.displays.items()):
            if self.env.get(name) is not parts:
                continue
            computed = [one for one in at.elts if not isinstance(one, ast.Name)]  # type: ignore[attr-defined]
            if name != self.last and (
                len(computed) < len(parts) or every(self.tape, parts, is_number)
            ):
                continue
            last = self.last
            try:
                value = self.stacked(parts, at)
                if isinstance(value, np.ndarray):
                    value = self.tape.constant(value, at)
                self._bind(name, value, at)
            except Unreadable:
                pass
            self.last = last

    def output(self) -> str | None:
        """The name of the output; a value that is no node yet becomes one."""
        if self.last is None or self.tape.quiet:
            return self.last
        value = self.env.get(self.last)
        at = ast.Constant(0, lineno=1, col_offset=0)
        if not isinstance(value, Node):
            try:
                value = self.tensor(value, at)
                if isinstance(value, np.ndarray) or not isinstance(value, Node):
                    value = self.emit(_IDENTITY, [value], None, at)
                elif self.tape.ids[value.position] is not None:
                    value = self.tape.emit(_IDENTITY, [value], None, at)
                self._bind(self.last, value, at)
            except Unreadable:
                return None
        return self.last


def _size(statement: ast.AST) -> int:
    return sum(1 for _ in ast.walk(statement))


def _least(reader: Reader, body: Sequence[ast.stmt]) -> int:
    """The least number of nodes, or of rounds, that a loop's body comes to."""
    total = 0
    for statement in body:
        if isinstance(statement, ast.For):
            total += _rounds(reader, statement.iter) * _least(reader, statement.body)
        elif isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr):
            total += 1
    return max(total, 1)


def _rounds(reader: Reader, at: ast.expr) -> int:
    """The length of a range of plain numbers; 1 for anything else."""
    if not (isinstance(at, ast.Call) and isinstance(at.func, ast.Name) and at.func.id == "range"):
        return 1
    bounds = []
    for part in at.args:
        known = part.value if isinstance(part, ast.Constant) else None
        if isinstance(part, ast.Name):
            known = reader.env.get(part.id)
            known = known.value if type(known) is Known else known
        if isinstance(part, ast.BinOp) and evaluate.is_literal(part):
            known = evaluate.value(reader, part)
        if type(known) is not int:
            return 1
        bounds.append(known)
    try:
        return len(range(*bounds))
    except (TypeError, ValueError):
        return 1
    except OverflowError:
        return 2**62


def _call_for_its_effect(at: ast.expr) -> bool:
    """Whether this is a call such as `rows.append(x)`."""
    return (
        isinstance(at, ast.Call)
        and isinstance(at.func, ast.Attribute)
        and at.func.attr in ("append", "extend", "insert")
        and dotted_name(at.func) is None
    )


_STATEMENTS: dict[type[ast.stmt], Any] = {
    ast.Assign: Reader._assign,
    ast.AnnAssign: Reader._annotated,
    ast.AugAssign: Reader._augment,
    ast.Expr: Reader._expression,
    ast.For: Reader._for,
    ast.If: Reader._if,
    ast.Import: Reader._import,
    ast.Pass: Reader._pass,
    ast.Continue: Reader._continue,
    ast.Break: Reader._break,
}
