"""The statements of `number_code` as LLVM's intermediate representation.

They are straight lines of arithmetic on numbers, so that they become straight lines of
instructions: of two branches both are computed and one is selected, which IEEE 754 allows,
for nothing traps. The functions are those of the C library that Python's `math` calls.
"""

from __future__ import annotations

import ast
import re
import struct
from collections.abc import Iterable, Mapping

_INTRINSICS = {name: name for name in ("sqrt", "floor", "ceil", "trunc")}
_INTRINSICS |= {"abs": "fabs", "round": "rint"}
_C_FUNCTIONS = {
    **dict.fromkeys(("exp", "log", "sin", "cos", "tan", "tanh", "expm1", "log1p", "log2"), 1),
    **dict.fromkeys(("log10", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh"), 1),
    **dict.fromkeys(("atanh", "erf", "erfc", "exp2", "cbrt"), 1),
    **dict.fromkeys(("hypot", "pow", "atan2"), 2),
}
C_FUNCTIONS: Mapping[str, int] = _C_FUNCTIONS
"""Functions of the C library that the code calls, with the number of their arguments."""
_CALLS = re.compile(r"(\w+)\(")
_ARITHMETIC = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "olt",
    ast.LtE: "ole",
    ast.Gt: "ogt",
    ast.GtE: "oge",
    ast.Eq: "oeq",
    ast.NotEq: "une",
}
DECLARATIONS = [
    *(f"declare double @llvm.{name}.f64(double)" for name in sorted(_INTRINSICS.values())),
    "declare double @llvm.copysign.f64(double, double)",
    "declare i64 @llvm.smin.i64(i64, i64)",
    "declare i64 @llvm.ctpop.i64(i64)",
    *(
        f"declare double @{name}({', '.join(['double'] * count)}) memory(none) nounwind willreturn"
        for name, count in _C_FUNCTIONS.items()
    ),
]


def translatable(statements: Iterable[str]) -> bool:
    """Whether all that these call is known here."""
    called = {name for line in statements for name in _CALLS.findall(line)}
    return called <= _INTRINSICS.keys() | _C_FUNCTIONS.keys()


def literal(number: float) -> str:
    """A double as LLVM writes it: by its bits."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"


class Instructions:
    """Instructions for statements; `names` are the numbers that are there already."""

    def __init__(self, names: Mapping[str, str], prefix: str) -> None:
        self.lines: list[str] = []
        self._prefix = prefix
        self._registers = 0
        # Name in the statements → register, and whether it is a truth value.
        self._values: dict[str, tuple[str, bool]] = {}
        self.names({"inf": literal(float("inf")), "nan": literal(float("nan")), **names})

    def names(self, registers: Mapping[str, str]) -> None:
        """Say in which registers numbers are."""
        self._values |= {name: (register, False) for name, register in registers.items()}

    def add(self, statements: Iterable[str]) -> None:
        """Translate assignments of one expression to one name each."""
        for statement in ast.parse("\n".join(statements)).body:
            assert isinstance(statement, ast.Assign)
            (target,) = statement.targets
            assert isinstance(target, ast.Name)
            self._values[target.id] = self._expression(statement.value)

    def number(self, name: str) -> str:
        """The register of a name or literal, as a double."""
        return self._double(self._expression(ast.parse(name, mode="eval").body))

    def emit(self, instruction: str) -> str:
        """Add an instruction and name its result."""
        register = f"%{self._prefix}.{self._registers}"
        self._registers += 1
        self.lines.append(f"{register} = {instruction}")
        return register

    def _double(self, value: tuple[str, bool]) -> str:
        return self.emit(f"uitofp i1 {value[0]} to double") if value[1] else value[0]

    def _truth(self, node: ast.expr) -> str:
        register, truth = self._expression(node)
        return register if truth else self.emit(f"fcmp une double {register}, 0.0")

    def _expression(self, node: ast.expr) -> tuple[str, bool]:
        match node:
            case ast.Constant(value=bool() as flag):
                return ("true" if flag else "false"), True
            case ast.Constant(value=int() | float() as number):
                return literal(float(number)), False
            case ast.Name(id=name):
                return self._values[name]
            case ast.NamedExpr(target=target, value=value):
                self._values[target.id] = self._expression(value)
                return self._values[target.id]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.emit(f"xor i1 {self._truth(operand)}, true"), True
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.emit(f"fneg double {self._double(self._expression(operand))}"), False
            case ast.BinOp(left=left, op=op, right=right):
                a, b = (self._double(self._expression(side)) for side in (left, right))
                if isinstance(op, ast.Mod):
                    return self._remainder(a, b), False
                return self.emit(f"{_ARITHMETIC[type(op)]} double {a}, {b}"), False
            case ast.Compare(left=left, ops=ops, comparators=rest):
                return self._compare([left, *rest], ops), True
            case ast.BoolOp(op=op, values=values):
                word = "and" if isinstance(op, ast.And) else "or"
                register, *others = map(self._truth, values)
                for other in others:
                    register = self.emit(f"{word} i1 {register}, {other}")
                return register, True
            case ast.IfExp(test=test, body=body, orelse=orelse):
                chosen = self._truth(test)
                a, b = (self._double(self._expression(side)) for side in (body, orelse))
                return self.emit(f"select i1 {chosen}, double {a}, double {b}"), False
            case ast.Call(func=ast.Name(id=name), args=args):
                given = [f"double {self._double(self._expression(arg))}" for arg in args]
                called = f"llvm.{_INTRINSICS[name]}.f64" if name in _INTRINSICS else name
                return self.emit(f"call double @{called}({', '.join(given)})"), False
        raise AssertionError(ast.dump(node))

    def _compare(self, sides: list[ast.expr], ops: list[ast.cmpop]) -> str:
        numbers = [self._double(self._expression(side)) for side in sides]
        found = [
            self.emit(f"fcmp {_COMPARISONS[type(op)]} double {a}, {b}")
            for op, a, b in zip(ops, numbers, numbers[1:], strict=False)
        ]
        register, *others = found
        for other in others:
            register = self.emit(f"and i1 {register}, {other}")
        return register

    def _remainder(self, a: str, b: str) -> str:
        """Python's remainder, which has the sign of the divisor."""
        rest = self.emit(f"frem double {a}, {b}")
        signs = [self.emit(f"fcmp olt double {x}, 0.0") for x in (rest, b)]
        differ = self.emit(f"xor i1 {signs[0]}, {signs[1]}")
        moved = self.emit(f"fadd double {rest}, {b}")
        chosen = self.emit(f"select i1 {differ}, double {moved}, double {rest}")
        none = self.emit(f"fcmp oeq double {rest}, 0.0")
        zero = self.emit(f"call double @llvm.copysign.f64(double 0.0, double {b})")
        return self.emit(f"select i1 {none}, double {zero}, double {chosen}")
