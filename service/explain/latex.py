"""Expressions of staged code as LaTeX."""

from __future__ import annotations

import ast
import re

from service.diagrams.text import split_name

_GREEK = frozenset(
    re.findall(
        r"\w+",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma "
        "tau phi chi psi omega",
    )
)
_FUNCTIONS = {
    "exp": r"\exp",
    "log": r"\ln",
    "sin": r"\sin",
    "cos": r"\cos",
    "tan": r"\tan",
    "sinh": r"\sinh",
    "cosh": r"\cosh",
    "tanh": r"\tanh",
    "arcsin": r"\arcsin",
    "arccos": r"\arccos",
    "arctan": r"\arctan",
    "maximum": r"\max",
    "minimum": r"\min",
    "max": r"\max",
    "min": r"\min",
    "sum": r"\sum",
}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: r"\le",
    ast.Gt: ">",
    ast.GtE: r"\ge",
    ast.Eq: "=",
    ast.NotEq: r"\ne",
}


class Formula(ast.NodeVisitor):
    """Turns an expression into LaTeX. `gradients` maps a dX to the X it belongs to."""

    def __init__(self, output: str, gradients: dict[str, str]) -> None:
        self.output = output
        self.gradients = gradients

    def text(self, node: ast.expr) -> str:
        """The LaTeX of an expression."""
        found: str = self.visit(node)
        return found

    def partial(self, variable: str) -> str:
        """The gradient on a variable, as a partial derivative of the output."""
        return rf"\frac{{\partial {symbol(self.output)}}}{{\partial {symbol(variable)}}}"

    def visit_Name(self, node: ast.Name) -> str:
        if node.id in self.gradients:
            return self.partial(self.gradients[node.id])
        return symbol(node.id)

    def visit_Constant(self, node: ast.Constant) -> str:
        value = node.value
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
            return str(int(value))
        if isinstance(value, float):
            shown = f"{value:.6g}"
            mantissa, _, exponent = shown.partition("e")
            return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else shown
        return rf"\mathrm{{{_escaped(str(value))}}}" if isinstance(value, str) else str(value)

    def visit_BinOp(self, node: ast.BinOp) -> str:
        match node.op:
            case ast.Div():
                return rf"\frac{{{self.text(node.left)}}}{{{self.text(node.right)}}}"
            case ast.Pow():
                base = self.text(node.left)
                if not isinstance(node.left, ast.Name | ast.Constant) or "partial" in base:
                    base = rf"\left({base}\right)"
                return f"{base}^{{{self.text(node.right)}}}"
            case ast.Add():
                return f"{self.text(node.left)} + {self.text(node.right)}"
            case ast.Sub():
                right = self._inside(node.right)
                return f"{self.text(node.left)} - {right}"
            case ast.Mult():
                if isinstance(node.left, ast.Constant) and node.left.value == 1.0:
                    return self._inside(node.right)
                sign = r" \cdot "
            case ast.MatMult():
                sign = r"\,"
            case _:
                sign = r"\;\mathrm{" + type(node.op).__name__.lower() + r"}\;"
        left = self._inside(node.left)
        right = self._inside(node.right)
        if isinstance(node.right, ast.UnaryOp) or right.startswith("-"):
            right = rf"\left({right}\right)"
        return f"{left}{sign}{right}"

    def _inside(self, node: ast.expr) -> str:
        """The text as a part of something that binds more tightly than a sum."""
        text = self.text(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            return rf"\left({text}\right)"
        return text

    def visit_UnaryOp(self, node: ast.UnaryOp) -> str:
        inner = self._inside(node.operand)
        return f"-{inner}" if isinstance(node.op, ast.USub) else rf"\neg {inner}"

    def visit_Compare(self, node: ast.Compare) -> str:
        sign = _COMPARE.get(type(node.ops[0]), "?")
        return f"{self.text(node.left)} {sign} {self.text(node.comparators[0])}"

    def visit_Attribute(self, node: ast.Attribute) -> str:
        if node.attr == "T":
            inner = self.text(node.value)
            if not isinstance(node.value, ast.Name) or "partial" in inner:
                inner = rf"\left({inner}\right)"
            return rf"{inner}^\top"
        if node.attr == "inf":
            return r"\infty"
        return rf"\mathrm{{{_escaped(node.attr)}}}"

    def visit_Call(self, node: ast.Call) -> str:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        arguments = [self.text(argument) for argument in node.args]
        match name, arguments:
            case "sqrt", [x]:
                return rf"\sqrt{{{x}}}"
            case "abs", [x]:
                return rf"\left|{x}\right|"
            case "exp", [x]:
                return f"e^{{{x}}}"
            case "array" | "float64", [x]:
                return x
            case "where", [condition, a, b]:
                return (
                    rf"\begin{{cases}} {a} & {condition} \\ {b} & \text{{otherwise}} \end{{cases}}"
                )
            case "swapaxes", [x, _, _]:
                return rf"\left({x}\right)^\top"
        arguments += [
            rf"\mathrm{{{_escaped(str(keyword.arg))}}}={self.text(keyword.value)}"
            for keyword in node.keywords
            if keyword.arg != "keepdims"
        ]
        function = _FUNCTIONS.get(name, rf"\operatorname{{{_escaped(name)}}}")
        return rf"{function}\left({', '.join(arguments)}\right)"

    def visit_Subscript(self, node: ast.Subscript) -> str:
        return rf"{self.text(node.value)}_{{{self.text(node.slice)}}}"

    def visit_Slice(self, node: ast.Slice) -> str:
        return ":".join(
            "" if part is None else self.text(part) for part in (node.lower, node.upper)
        )

    def visit_Tuple(self, node: ast.Tuple) -> str:
        return "(" + ", ".join(map(self.text, node.elts)) + ")"

    def visit_List(self, node: ast.List) -> str:
        return "[" + ", ".join(map(self.text, node.elts)) + "]"

    def generic_visit(self, node: ast.AST) -> str:
        return rf"\texttt{{{_escaped(ast.unparse(node))}}}"


def symbol(name: str) -> str:
    """A variable: Greek names as letters, digits as subscripts, words upright."""
    base, subscript = split_name(name)
    number = re.fullmatch(r"_(\d+)", name)
    if number:
        base, subscript = "v", number[1]
    if base in _GREEK:
        base = "\\" + base
    elif len(base) > 1:
        base = rf"\mathit{{{_escaped(base)}}}"
    else:
        base = _escaped(base)
    return f"{base}_{{{_escaped(subscript)}}}" if subscript else base


def _escaped(text: str) -> str:
    """`text` with LaTeX's own characters made harmless."""
    text = re.sub(r"[\\{}~^]", " ", text)
    return re.sub(r"([#$%&_])", r"\\\1", text)
