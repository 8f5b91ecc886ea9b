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
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from service.engine.code import Code, Step
from service.engine.operators.leaves import PROJECT
from service.engine.registry import REGISTRY, Operator

_CONSTANT, _INPUT = REGISTRY["constant"], REGISTRY["input"]
_VIEWS = {"reshape", "broadcast_to", "expand_dims", "squeeze", "matrix_transpose", "identity"}
_VIEWS |= {"permute_dims", "slice", "diagonal", "flip", "stop_gradient"}


class Unprintable(Exception):
    """The operator has neither a template nor a forward function whose source can be read."""


class Printer:
    """Expressions for the steps of `code`. `names` holds the slots that have a variable.

    `helpers` gathers the functions that the printed source calls, `modules` the modules.
    """

    def __init__(self, code: Code, names: Mapping[int, str]) -> None:
        self.code = code
        self.names = dict(names)
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
            return literal(step.value)
        if step.operator is PROJECT:
            (whole,) = step.inputs
            return ast.Subscript(self.expression(whole), ast.Constant(step.attrs["index"]))
        known = self._familiar(step)
        if known is not None:
            return known
        arguments = [self.expression(source) for source in step.inputs]
        return self._simplified(step, arguments) or self._templated(step, arguments)

    def is_view(self, slot: int) -> bool:
        """Whether the printed expression may share memory with another variable."""
        if slot in self.names:
            return True
        step = self.code.steps[slot]
        if step.operator.name == "sum_to":
            return self.code.steps[step.inputs[0]].spec.shape == step.spec.shape
        return step.operator.name in _VIEWS

    def source(self, expression: ast.expr) -> str:
        """The text of an expression; notes the modules it needs."""
        text = ast.unparse(ast.fix_missing_locations(expression))
        self.modules.update(module for module in ("np", "math") if f"{module}." in text)
        return text

    def _shape(self, slot: int) -> tuple[int, ...]:
        return self.code.steps[slot].spec.shape

    def _familiar(self, step: Step) -> ast.expr | None:
        """1 - s for sigmoid(-x) where s = sigmoid(x), and 1 - t**2 for tanh's slope.

        The rules compute these in ways that keep all digits far from zero; people know
        them by these names.
        """
        steps, name = self.code.steps, step.operator.name
        if name == "sigmoid":
            inner = steps[step.inputs[0]]
            if inner.operator.name == "negative":
                found = self._variable_of("sigmoid", inner.inputs[0])
                if found is not None:
                    return ast.BinOp(ast.Constant(1), ast.Sub(), ast.Name(found))
        if name == "multiply":
            left, right = (steps[source] for source in step.inputs)
            if left.operator.name == "multiply" and right.operator.name == "sigmoid":
                x = self._tanh_slope(left, right)
                found = None if x is None else self._variable_of("tanh", x)
                if found is not None:
                    square = ast.BinOp(ast.Name(found), ast.Pow(), ast.Constant(2))
                    return ast.BinOp(ast.Constant(1), ast.Sub(), square)
        return None

    def _tanh_slope(self, left: Step, right: Step) -> int | None:
        """The slot of x in 4 * sigmoid(2x) * sigmoid(-2x)."""
        steps = self.code.steps
        four, first = left.inputs
        if self._number(four) != 4.0 or steps[first].operator.name != "sigmoid":
            return None
        found = [self._scaled(steps[first].inputs[0]), self._scaled(right.inputs[0])]
        if None in found or found[0] is None or found[1] is None:
            return None
        (a, x), (b, same) = found[0], found[1]
        return x if (a, b) == (2.0, -2.0) and x == same else None

    def _scaled(self, slot: int) -> tuple[float, int] | None:
        """(factor, x) of a product of a number and a slot."""
        step = self.code.steps[slot]
        if step.operator.name == "multiply":
            factor = self._number(step.inputs[0])
            return None if factor is None else (factor, step.inputs[1])
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

    def _simplified(self, step: Step, arguments: list[ast.expr]) -> ast.expr | None:
        """Shorter spellings that need the shapes, which a template doesn't see."""
        name = step.operator.name
        first = step.inputs[0] if step.inputs else None
        if name == "negative" and isinstance(arguments[0], ast.UnaryOp):
            return arguments[0].operand
        if name == "sum_to" and first is not None:
            return _summed(arguments[0], self._shape(first), step.spec.shape)
        if name == "broadcast_to" and first is not None and math.prod(self._shape(first)) == 1:
            number = _NoReshape().visit(arguments[0])
            return _call("np.full", literal(step.spec.shape), number)
        if name == "matrix_transpose" and len(step.spec.shape) == 2:
            return ast.Attribute(arguments[0], "T")
        if name == "pow":
            exponent = self._number(step.inputs[1])
            if exponent is not None and exponent.is_integer() and abs(exponent) < 1e6:
                whole: ast.expr = ast.Constant(abs(int(exponent)))
                if exponent < 0:
                    whole = ast.UnaryOp(ast.USub(), whole)
                return ast.BinOp(arguments[0], ast.Pow(), whole)
        same = first is not None and self._shape(first) == step.spec.shape
        if same and name in ("reshape", "squeeze", "expand_dims"):
            return arguments[0]
        if name == "reshape":
            return _call("np.reshape", arguments[0], literal(step.spec.shape))
        if name in ("maximum", "minimum") and len(arguments) > 2:
            folded = arguments[0]
            for argument in arguments[1:]:
                folded = _call(f"np.{name}", folded, argument)
            return folded
        return None

    def _templated(self, step: Step, arguments: list[ast.expr]) -> ast.expr:
        op = step.operator
        if not op.code:
            return self._helped(op, step, arguments)
        marks = [f"_argument{place}_" for place in range(len(arguments))]
        attrs = step.attrs
        if op.name == "slice" and attrs["axes"] is not None and max(attrs["axes"], default=-1) >= 0:
            # Axes from both ends go into one bracket only when they count from the same one.
            rank = len(self._shape(step.inputs[0]))
            attrs = {**attrs, "axes": tuple(axis % rank for axis in attrs["axes"])}
        text = op.code(*marks, **attrs) if callable(op.code) else op.code.format(*marks, **attrs)
        tree = ast.parse(text, mode="eval").body
        filled = _Fill(dict(zip(marks, arguments, strict=True))).visit(tree)
        assert isinstance(filled, ast.expr)
        return filled

    def _helped(self, op: Operator, step: Step, arguments: list[ast.expr]) -> ast.expr:
        """A call of the operator's own forward function, whose source goes along."""
        if op.forward is None or op.forward.__name__ == "<lambda>":
            raise Unprintable(op.name)
        name = op.forward.__name__.lstrip("_")
        for needed, text in _sources(op.forward).items():
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


class _NoReshape(ast.NodeTransformer):
    """Leaves the reshaping of single numbers out: `np.full` takes them in any shape."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        return node.args[0] if ast.unparse(node.func) == "np.reshape" else node


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


def _summed(x: ast.expr, have: Sequence[int], want: Sequence[int]) -> ast.expr:
    """`x` summed down to a shape."""
    if tuple(have) == tuple(want):
        return x
    if not want:
        return _call("np.sum", x)
    lead = len(have) - len(want)
    inner = [
        place
        for place, (a, b) in enumerate(zip(have[lead:], want, strict=True), lead)
        if a != b and b == 1
    ]
    if lead:
        axes = tuple(range(lead))
        x = _call("np.sum", x, axis=literal(axes[0] if lead == 1 else axes))
        inner = [place - lead for place in inner]
    if inner:
        axis = literal(inner[0] if len(inner) == 1 else tuple(inner))
        x = _call("np.sum", x, axis=axis, keepdims=ast.Constant(True))
    return x


@cache
def _sources(function: Any) -> dict[str, str]:
    """The source of a function and of what it uses, without annotations; callees first."""
    found: dict[str, str] = {}
    pending = [(function, function.__name__.lstrip("_"))]
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
