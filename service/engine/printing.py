"""Traced code as Python source: each operator by its own template, each rule by its trace.

A derivative rule, run on stand-ins, leaves steps behind; printed, these are the line of
a backward pass that a person would write. Expressions are kept as syntax trees, so that
brackets stand where they are needed and nowhere else.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import textwrap
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np

from service.engine.code import Code, Step
from service.engine.operators.leaves import PROJECT
from service.engine.registry import REGISTRY, Argument, Operator

_CONSTANT, _INPUT = REGISTRY["constant"], REGISTRY["input"]
_SLICE, _RESHAPE, _SQUEEZE = REGISTRY["slice"], REGISTRY["reshape"], REGISTRY["squeeze"]


class Unprintable(Exception):
    """The operator has neither a template nor a forward function whose source can be read."""


class Printer:
    """Expressions for the steps of `code`. `names` holds the slots that have a variable.

    `integers` are the slots whose numbers are written as integers. `helpers` gathers the
    functions that the printed source calls, `modules` the modules.
    """

    def __init__(
        self, code: Code, names: Mapping[int, str], integers: Collection[int] = ()
    ) -> None:
        self.code = code
        self.names = dict(names)
        self.integers = integers
        self.helpers: dict[str, str] = {}
        self.modules: set[str] = set()

    def expression(self, slot: int) -> ast.expr:
        """The value of a slot: its variable, its number, or the call that computes it."""
        if slot in self.names:
            return ast.Name(self.names[slot])
        return self.call(slot)

    def call(self, slot: int) -> ast.expr:
        """The computation of a slot, whether it has a variable or not."""
        step = self.code.steps[slot]
        if step.operator is _CONSTANT:
            return literal(as_integers(step.value) if slot in self.integers else step.value)
        if step.operator is PROJECT:
            (whole,) = step.inputs
            return ast.Subscript(self.expression(whole), ast.Constant(step.attrs["index"]))
        familiar = self._familiar(step)
        if familiar is not None:
            return familiar
        return self._row(step) or self._templated(step)

    def is_view(self, slot: int) -> bool:
        """Whether the printed expression may share memory with another variable."""
        if slot in self.names:
            return True
        step = self.code.steps[slot]
        return step.operator.view or isinstance(self.call(slot), ast.Name)

    def scattered(self, slot: int) -> tuple[str, ast.expr, bool] | None:
        """(subscript, values, repeats) of a slot that is zeros but for what was added there."""
        step = self.code.steps[slot]
        if step.operator.scatter is None or not all(map(self._blank, step.inputs[:-1][:1])):
            return None
        marks, arguments = self._arguments(step)
        scatter = step.operator.scatter(*marks, **step.attrs)
        # The subscript is printed for itself: no expression by itself when it has colons.
        whole = _filled(f"x[{scatter.subscript}]", arguments)
        subscript = self.source(whole).removeprefix("x[").removesuffix("]")
        if scatter.repeats and not subscript.startswith("(") and "," in subscript:
            subscript = f"({subscript})"
        return subscript, _filled(scatter.values, arguments), scatter.repeats

    def _blank(self, slot: int) -> bool:
        """Whether a slot holds zeros."""
        step = self.code.steps[slot]
        if step.operator is _CONSTANT:
            return not np.any(step.value)
        shaping = len(step.inputs) == 1 and step.operator.group == "shape"
        return shaping and self._blank(step.inputs[0])

    def source(self, expression: ast.expr) -> str:
        """The text of an expression; notes the modules it needs."""
        text = ast.unparse(ast.fix_missing_locations(expression))
        self.modules.update(module for module in ("np", "math") if f"{module}." in text)
        return text

    def _shape(self, slot: int) -> tuple[int, ...]:
        return self.code.steps[slot].spec.shape

    def _familiar(self, step: Step) -> ast.expr | None:
        """s * (1 - s) for the slope of a sigmoid s, and 1 - t**2 for that of a tanh t.

        The rules compute these in ways that keep all digits; people know them by these names.
        """
        steps, name = self.code.steps, step.operator.name
        one = ast.Constant(1)
        if name == "logistic_density":
            found = self._variable_of("sigmoid", step.inputs[0])
            if found is not None:
                other = ast.BinOp(one, ast.Sub(), ast.Name(found))
                return ast.BinOp(ast.Name(found), ast.Mult(), other)
        if name == "multiply":
            four, slope = step.inputs
            if self._number(four) == 4.0 and steps[slope].operator.name == "logistic_density":
                doubled = steps[steps[slope].inputs[0]]
                if doubled.operator.name == "multiply" and self._number(doubled.inputs[0]) == 2.0:
                    found = self._variable_of("tanh", doubled.inputs[1])
                    if found is not None:
                        square = ast.BinOp(ast.Name(found), ast.Pow(), ast.Constant(2))
                        return ast.BinOp(one, ast.Sub(), square)
        return None

    def _number(self, slot: int) -> float | None:
        step = self.code.steps[slot]
        if step.operator is _CONSTANT and step.spec.shape == () and step.spec.floating:
            return float(step.value)
        return None

    def _variable_of(self, operator: str, source: int) -> str | None:
        """The variable that holds `operator` of a slot, if there is one."""
        for slot, name in self.names.items():
            step = self.code.steps[slot]
            if step.operator.name == operator and step.inputs == (source,):
                return name
        return None

    def _row(self, step: Step) -> ast.expr | None:
        """x[0] for a slice of one row that is squeezed out of its axis."""
        if step.operator is not _SQUEEZE or step.inputs[0] in self.names:
            return None
        inner = self.code.steps[step.inputs[0]]
        if inner.operator is not _SLICE:
            return None
        marks, arguments = self._arguments(inner)
        assert callable(inner.operator.code)
        text = inner.operator.code(*marks, result=step.spec.shape, **inner.attrs)
        return _filled(text, arguments) if text else None

    def _arguments(self, step: Step) -> tuple[list[Argument], dict[str, ast.expr]]:
        """The inputs of a step as names to be filled in, and what to fill in."""
        marks: list[Argument] = []
        arguments: dict[str, ast.expr] = {}
        for place, slot in enumerate(step.inputs):
            name = f"_argument{place}_"
            arguments[name] = self._argument(step.operator, place, slot)
            bare = None
            inner = self.code.steps[slot]
            if inner.operator is _RESHAPE and slot not in self.names:
                (source,) = inner.inputs
                bare = Argument(f"_bare{place}_", self.code.steps[source].spec)
                arguments[bare] = self.expression(source)
            marks.append(Argument(name, inner.spec, self._number(slot), bare))
        return marks, arguments

    def _argument(self, op: Operator, place: int, slot: int) -> ast.expr:
        """An input as an expression: places and labels as integers."""
        argument, step = self.expression(slot), self.code.steps[slot]
        if place not in op.indices or not step.spec.floating or slot in self.integers:
            return argument
        if step.operator is _CONSTANT:
            return literal(as_integers(step.value))
        if step.spec.shape == ():
            return ast.Call(ast.Name("int"), [argument], [])
        return ast.Call(ast.Attribute(argument, "astype"), [ast.Name("int")], [])

    def _templated(self, step: Step) -> ast.expr:
        op = step.operator
        marks, arguments = self._arguments(step)
        text = op.code
        if callable(text):
            text = text(*marks, **step.attrs)
        elif text:
            text = text.format(*marks, **step.attrs)
        if not text:
            return self._helped(op, step, [arguments[mark] for mark in marks])
        filled = _filled(text, arguments)
        match filled:
            case ast.UnaryOp(ast.USub(), ast.UnaryOp(ast.USub(), inner)):
                return inner
            case ast.Call(ast.Attribute(ast.Name("np"), "full"), [shape, number]):
                return _call("np.full", shape, _single(number))
        return filled

    def _helped(self, op: Operator, step: Step, arguments: list[ast.expr]) -> ast.expr:
        """A call of the operator's own forward function, whose source goes along."""
        function = op.plain or op.forward
        if function is None or function.__name__ == "<lambda>":
            raise Unprintable(op.name)
        name = op.name if op.plain else function.__name__.lstrip("_")
        for needed, text in _sources(function, name).items():
            self.helpers.setdefault(needed, text)
            self.modules.update(module for module in ("np", "math") if f"{module}." in text)
        keywords = [
            ast.keyword(attribute, literal(value)) for attribute, value in step.attrs.items()
        ]
        return ast.Call(ast.Name(name), arguments, keywords)


class _Fill(ast.NodeTransformer):
    """Puts arguments in the places of their marks."""

    def __init__(self, arguments: Mapping[str, ast.expr]) -> None:
        self.arguments = arguments

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in ("inf", "nan"):
            return _np(node.id)
        return self.arguments.get(node.id, node)


def _single(number: ast.expr) -> ast.expr:
    """One number without the reshaping that gives it axes of size 1."""
    match number:
        case ast.BinOp(left, operator, right) if not isinstance(operator, ast.MatMult):
            return ast.BinOp(_single(left), operator, _single(right))
        case ast.UnaryOp(operator, inner):
            return ast.UnaryOp(operator, _single(inner))
        case ast.Call(ast.Attribute(ast.Name("np"), "reshape"), [inner, _]):
            return inner
    return number


def _filled(text: str, arguments: Mapping[str, ast.expr]) -> ast.expr:
    """The expression that `text` is once the arguments stand in it."""
    expression = _Fill(arguments).visit(ast.parse(text, mode="eval").body)
    assert isinstance(expression, ast.expr)
    return expression


def as_integers(value: Any) -> Any:
    """Whole numbers as integers."""
    return np.asarray(value).astype(np.int64)[()]


def _call(function: str, *arguments: ast.expr, **keywords: ast.expr) -> ast.expr:
    module, _, name = function.partition(".")
    return ast.Call(
        ast.Attribute(ast.Name(module), name),
        list(arguments),
        [ast.keyword(key, value) for key, value in keywords.items()],
    )


def literal(value: Any) -> ast.expr:
    """A number, truth value, text, None, array, or a nest of tuples, as an expression."""
    if isinstance(value, np.ndarray) and value.ndim:
        dtype = value.dtype.name
        more = {} if dtype in ("float64", "int64", "bool") else {"dtype": _np(dtype)}
        if value.size == 0:
            return _call("np.zeros", literal(value.shape), dtype=_np(dtype))
        return _call("np.array", literal(value.tolist()), **more)
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.name == "float32":
            return _call("np.float32", literal(value.item()))
        value = value.item()
    if isinstance(value, float):
        if math.isnan(value):
            return ast.Attribute(ast.Name("np"), "nan")
        if math.isinf(value):
            infinity = ast.Attribute(ast.Name("np"), "inf")
            return infinity if value > 0 else ast.UnaryOp(ast.USub(), infinity)
        if math.copysign(1.0, value) < 0:
            return ast.UnaryOp(ast.USub(), ast.Constant(-value))
        return ast.Constant(value)
    if isinstance(value, tuple):
        return ast.Tuple([literal(item) for item in value], ast.Load())
    if isinstance(value, list):
        return ast.List([literal(item) for item in value], ast.Load())
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _np(name: str) -> ast.expr:
    return ast.Attribute(ast.Name("np"), "bool_" if name == "bool" else name)


@cache
def _sources(function: Any, name: str) -> dict[str, str]:
    """The source of a function and of what it uses, without annotations; callees first."""
    found: dict[str, str] = {}
    pending = [(function, name)]
    seen = {function}
    while pending:
        one, called = pending.pop(0)
        tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        plain = _Plain(called).visit(tree)
        used = sorted({node.id for node in ast.walk(plain) if isinstance(node, ast.Name)})
        found.pop(called, None)
        found[called] = ast.unparse(ast.fix_missing_locations(plain))
        for name in used:
            value = one.__globals__.get(name)
            module = getattr(value, "__module__", "") or ""
            if inspect.isfunction(value) and module.startswith("service."):
                if value not in seen:
                    seen.add(value)
                    pending.append((value, name))
            elif inspect.ismodule(value):
                if value.__name__ not in ("numpy", "math"):
                    found[name] = f"import {value.__name__}"
            elif inspect.isclass(value) and issubclass(value, Exception):
                found[name] = f"{name} = ValueError" if module.startswith("service.") else ""
            elif callable(value):
                found[name] = f"from {module} import {name}"
            elif isinstance(value, int | float | str | tuple):
                found[name] = f"{name} = {value!r}"
    return {name: text for name, text in reversed(found.items()) if text}


class _Plain(ast.NodeTransformer):
    """Takes annotations and docstrings out of a function, and gives it the name `called`."""

    def __init__(self, called: str) -> None:
        self.called = called

    def visit_Module(self, node: ast.Module) -> ast.AST:
        self.generic_visit(node)
        assert isinstance(node.body[0], ast.FunctionDef)
        node.body[0].name = self.called
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.returns = None
        for argument in (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs):
            argument.annotation = None
        for starred in (node.args.vararg, node.args.kwarg):
            if starred is not None:
                starred.annotation = None
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if node.value is None:
            return node
        return ast.Assign([node.target], node.value)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """An operator's refusal carries codes and hints: here its words are enough."""
        self.generic_visit(node)
        if isinstance(node.exc, ast.Call):
            node.exc.keywords = []
        return node


_WORD = re.compile(r"\W+")


def identifier(name: str, taken: set[str]) -> str:
    """A Python variable for a node's name, none of `taken`; it is added there."""
    import keyword

    base = _WORD.sub("_", name).strip() or "v"
    if not base.isidentifier():
        base = f"v_{base}"
    if not base.isidentifier():
        base = "v"
    if keyword.iskeyword(base) or base in ("np", "math", "print"):
        base += "_"
    found, number = base, 2
    while found in taken:
        found, number = f"{base}_{number}", number + 1
    taken.add(found)
    return found
