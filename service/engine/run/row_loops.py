"""The loops of the compiled way over rows of tensors, in LLVM's intermediate representation.

A row is one operation on a run of numbers with strides, in one flat memory: `counts` of an
outer, a middle and an inner loop, and for the result and each input an offset and a stride
for every loop. The memory of gradients is laid out as that of values, so that what rearranges
or picks is an offset there too, and its adjoint nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from service.engine.run.ir import C_FUNCTIONS, Instructions, literal
from service.engine.run.number_code import Text
from service.engine.run.opcodes import opcodes

ROW_FIELDS = 21
"""Of 64 bits: operation; three counts; offset and three strides of result and inputs; attributes.

An outer count of 0 says that there is but one run of numbers, side by side in every operand.
In place of the third input a contraction has the bits of the inputs that want a gradient.
"""
COUNTS, RESULT, INPUTS, ATTRIBUTES, BITS = 1, 4, (8, 12, 16), 20, 16
REDUCTIONS = ("sum", "max", "min", "logsumexp", "contract")
"""Operations beside the elementwise ones; their numbers come after those."""


def reduction(name: str, backward: bool) -> int:
    """The number of an operation that is not elementwise."""
    table = opcodes()
    texts: Sequence[Any] = table.backward_texts if backward else table.forward_texts
    return len(texts) + REDUCTIONS.index(name)


_ROW = "ptr noalias %v, ptr noalias %g, ptr noalias %row"


class _Function(Instructions):
    """A function; loops and numbers that change are written as Python code."""

    def __init__(self, name: str, arguments: str = _ROW) -> None:
        super().__init__({}, "r")
        self._labels = 0
        self.head = f"define internal void @{name}({arguments})"

    def text(self, small: bool = False) -> list[str]:
        """The whole function; a `small` one is not worth several versions of its loops."""
        attributes = " optsize {" if small else " {"
        # Variables are made once, not at every turn of a loop.
        made = [line for line in self.lines if " = alloca " in line]
        rest = [line for line in self.lines if " = alloca " not in line]
        return [self.head + attributes, "entry:", *made, *rest, "ret void", "}"]

    def field(self, at: int) -> str:
        return self.emit(f"load i64, ptr {self.emit(f'getelementptr i64, ptr %row, i64 {at}')}")

    def load(self, array: str, place: str) -> str:
        return self.emit(f"load double, ptr {self.at(array, place)}")

    def at(self, array: str, place: str) -> str:
        return self.emit(f"getelementptr double, ptr {array}, i64 {place}")

    def store(self, number: str, pointer: str) -> None:
        self.lines.append(f"store double {number}, ptr {pointer}")

    def add_to(self, array: str, place: str, number: str) -> None:
        pointer = self.at(array, place)
        old = self.emit(f"load double, ptr {pointer}")
        self.store(self.emit(f"fadd double {old}, {number}"), pointer)

    def variable(self, number: str) -> str:
        """A place for a number that changes in a loop, which the optimizer keeps in a register."""
        place = self.emit("alloca double")
        self.store(number, place)
        return place

    def value(self, variable: str) -> str:
        return self.emit(f"load double, ptr {variable}")

    def loop(self, count: str, body: Callable[[str], None]) -> None:
        """`for i in range(count): body(i)`."""
        self._labels += 1
        n = self._labels
        some = self.emit(f"icmp sgt i64 {count}, 0")
        self.lines += [
            f"br label %pre{n}",
            f"pre{n}:",
            f"br i1 {some}, label %loop{n}, label %done{n}",
            f"loop{n}:",
            f"%i{n} = phi i64 [ 0, %pre{n} ], [ %n{n}, %last{n} ]",
        ]
        body(f"%i{n}")
        self.lines += [
            f"br label %last{n}",
            f"last{n}:",
            f"%n{n} = add i64 %i{n}, 1",
            f"%m{n} = icmp slt i64 %n{n}, {count}",
            f"br i1 %m{n}, label %loop{n}, label %done{n}",
            f"done{n}:",
        ]

    def either(self, condition: str, one: Callable[[], None], other: Callable[[], None]) -> None:
        self._labels += 1
        n = self._labels
        self.lines += [f"br i1 {condition}, label %one{n}, label %other{n}", f"one{n}:"]
        one()
        self.lines += [f"br label %both{n}", f"other{n}:"]
        other()
        self.lines += [f"br label %both{n}", f"both{n}:"]


class _Operand:
    """The offset and the strides of a result or input."""

    def __init__(self, function: _Function, at: int) -> None:
        self._function = function
        self.offset, *self.strides = (function.field(at + i) for i in range(4))

    def place(self, *indices: str, unit: bool = False, base: str | None = None) -> str:
        """Where the element is; with `unit`, the last stride is known to be 1."""
        f = self._function
        place = base or self.offset
        for i, (index, stride) in enumerate(zip(indices, self.strides, strict=False)):
            step = index
            if not (unit and i == len(indices) - 1):
                step = f.emit(f"mul i64 {index}, {stride}")
            place = f.emit(f"add i64 {place}, {step}")
        return place


def _operation(name: str, count: int, bits: int | None, text: Text) -> list[str]:
    """An elementwise operation on runs of `n` numbers that stand side by side.

    Forward to `r0`; or, with the `bits` of wanted inputs, what its rules give each of them.
    """
    results = range(len(text.results))
    pointers = [*(f"r{i}" for i in results), "g", "y", "x0", "x1", "x2", "k"]
    if bits is None:
        pointers = ["r0", "x0", "x1", "x2", "k"]
    arguments = [*(f"ptr noalias %{one}" for one in pointers), "i64 %n"]
    f = _Function(name, ", ".join(arguments))
    constants = [argument for argument in text.arguments if argument[0] == "k"]
    f.names({k: f.load("%k", str(i)) for i, k in enumerate(constants)})

    def element(i: str) -> None:
        f.names({x: f.load(f"%{x}", i) for x in text.arguments if x[0] != "k"})
        f.add(text.lines)
        for place, result in enumerate(text.results):
            f.store(f.number(str(result)), f.at(f"%r{place}", i))

    f.loop("%n", element)
    calls = any(f"{function}(" in line for line in text.lines for function in C_FUNCTIONS)
    return f.text(small=calls)


BLOCK = 256
"""Numbers that are packed side by side at a time, where they are not so in the memory."""


def _driver(backward: bool) -> list[str]:
    """`void (v, g, row, function, bits)`: an elementwise operation over the loops of a row."""
    f = _Function(
        f"{'backward' if backward else 'forward'}_elementwise",
        "ptr noalias %v, ptr noalias %g, ptr noalias %row, ptr %function, i64 %bits",
    )
    counts = [f.field(COUNTS + i) for i in range(3)]
    result, *inputs = (_Operand(f, at) for at in (RESULT, *INPUTS))
    constants = f.at("%v", f.field(ATTRIBUTES))
    scratch = [f.emit(f"alloca [{BLOCK} x double], align 64") for _ in range(8)]
    blocks = f.emit(f"udiv i64 {f.emit(f'add i64 {counts[2]}, {BLOCK - 1}')}, {BLOCK}")

    def packed(array: str, operand: _Operand, at: tuple[str, ...], n: str, place: str) -> str:
        """Where the numbers of an operand stand side by side, in the memory or packed."""
        chosen = f.emit("alloca ptr")
        f.lines.append(f"store ptr {f.at(array, operand.place(*at))}, ptr {chosen}")
        unit = f.emit(f"icmp eq i64 {operand.strides[2]}, 1")

        def pack() -> None:
            start = operand.place(*at)

            def step(k: str) -> None:
                stride = f.emit(f"mul i64 {k}, {operand.strides[2]}")
                number = f.load(array, f.emit(f"add i64 {start}, {stride}"))
                f.store(number, f.at(place, k))

            f.loop(n, step)
            f.lines.append(f"store ptr {place}, ptr {chosen}")

        f.either(unit, _nothing, pack)
        return f.emit(f"load ptr, ptr {chosen}")

    def block(i: str, j: str, b: str) -> None:
        low = f.emit(f"mul i64 {b}, {BLOCK}")
        rest = f.emit(f"sub i64 {counts[2]}, {low}")
        n = f.emit(f"call i64 @llvm.smin.i64(i64 {rest}, i64 {BLOCK})")
        at = (i, j, low)
        numbers = [packed("%v", x, at, n, scratch[k]) for k, x in enumerate(inputs)]
        if backward:
            g = packed("%g", result, at, n, scratch[3])
            y = packed("%v", result, at, n, scratch[4])
            _call_rules(f, [g, y, *numbers, constants], scratch[5:], n)
            _accumulate(f, inputs, at, scratch[5:], n)
            return
        unit = f.emit(f"icmp eq i64 {result.strides[2]}, 1")
        start = result.place(*at)
        direct = f.at("%v", start)
        target = f.emit(f"select i1 {unit}, ptr {direct}, ptr {scratch[3]}")
        given = ", ".join(f"ptr {one}" for one in (target, *numbers, constants))
        f.lines.append(f"call void %function({given}, i64 {n})")

        def scatter(k: str) -> None:
            stride = f.emit(f"mul i64 {k}, {result.strides[2]}")
            f.store(f.load(scratch[3], k), f.at("%v", f.emit(f"add i64 {start}, {stride}")))

        f.either(unit, _nothing, lambda: f.loop(n, scatter))

    def middle(i: str, j: str) -> None:
        f.loop(blocks, lambda b: block(i, j, b))

    def direct() -> None:
        numbers = [f.at("%v", x.offset) for x in inputs]
        g, y = (f.at(array, result.offset) for array in ("%g", "%v"))
        if backward:
            _call_rules(f, [g, y, *numbers, constants], scratch[5:], counts[2])
            _accumulate(f, inputs, None, scratch[5:], counts[2])
            return
        given = ", ".join(f"ptr {one}" for one in (y, *numbers, constants))
        f.lines.append(f"call void %function({given}, i64 {counts[2]})")

    plain = f.emit(f"icmp eq i64 {counts[0]}, 0")
    loops = partial(f.loop, counts[0], lambda i: f.loop(counts[1], lambda j: middle(i, j)))
    f.either(plain, direct, loops)
    return f.text()


def _call_rules(f: _Function, given: Sequence[str], parts: Sequence[str], n: str) -> None:
    """Call the rules with as many places for results as `bits` has."""
    count = f.emit("call i64 @llvm.ctpop.i64(i64 %bits)")
    for results in range(1, 4):
        exactly = f.emit(f"icmp eq i64 {count}, {results}")
        pointers = ", ".join(f"ptr {one}" for one in (*parts[:results], *given))
        call = f"call void %function({pointers}, i64 {n})"
        f.either(exactly, partial(f.lines.append, call), _nothing)


def _accumulate(
    f: _Function,
    inputs: Sequence[_Operand],
    at: tuple[str, ...] | None,
    parts: Sequence[str],
    n: str,
) -> None:
    """Add the results of the rules to the gradients of the inputs that `bits` has.

    Without `at` the gradients stand side by side, from the offset on.
    """
    for index, operand in enumerate(inputs):
        wanted = f.emit(f"icmp ne i64 {f.emit(f'and i64 %bits, {1 << index}')}, 0")
        before = f.emit(f"and i64 %bits, {(1 << index) - 1}")
        place = f.emit(f"call i64 @llvm.ctpop.i64(i64 {before})")
        part = parts[0]
        for number in range(1, index + 1):
            mine = f.emit(f"icmp eq i64 {place}, {number}")
            part = f.emit(f"select i1 {mine}, ptr {parts[number]}, ptr {part}")

        def add(operand: _Operand = operand, part: str = part) -> None:
            start = operand.offset if at is None else operand.place(*at)

            def one(k: str) -> None:
                f.add_to("%g", f.emit(f"add i64 {start}, {k}"), f.load(part, k))

            def strided(k: str) -> None:
                stride = f.emit(f"mul i64 {k}, {operand.strides[2]}")
                f.add_to("%g", f.emit(f"add i64 {start}, {stride}"), f.load(part, k))

            def repeated() -> None:
                total = f.variable(literal(-0.0))

                def step(k: str) -> None:
                    added = f.emit(f"fadd reassoc double {f.value(total)}, {f.load(part, k)}")
                    f.store(added, total)

                f.loop(n, step)
                f.add_to("%g", start, f.value(total))

            def apart() -> None:
                zero = f.emit(f"icmp eq i64 {operand.strides[2]}, 0")
                f.either(zero, repeated, lambda: f.loop(n, strided))

            if at is None:
                f.loop(n, one)
                return
            unit = f.emit(f"icmp eq i64 {operand.strides[2]}, 1")
            f.either(unit, lambda: f.loop(n, one), apart)

        f.either(wanted, add, _nothing)


def _reduction(name: str, kind: str, backward: bool) -> list[str]:
    """Over the last loop: a sum, an extremum, the logarithm of a sum of exponentials."""
    f = _Function(name)
    counts = [f.field(COUNTS + i) for i in range(3)]
    result, x = _Operand(f, RESULT), _Operand(f, INPUTS[0])

    def total(of: Callable[[str], str], start: float = -0.0) -> str:
        """A sum over the inner loop, in any order: the optimizer makes several at once."""
        variable = f.variable(literal(start))

        def step(k: str) -> None:
            added = f.emit(f"fadd reassoc double {f.value(variable)}, {of(k)}")
            f.store(added, variable)

        f.loop(counts[2], step)
        return f.value(variable)

    def extremum(i: str, j: str, sign: str) -> str:
        best = f.variable(f.load("%v", x.place(i, j, "0")))

        def step(k: str) -> None:
            number, held = f.load("%v", x.place(i, j, k)), f.value(best)
            kept = f.emit(f"fcmp {sign} double {held}, {number}")
            nan = f.emit(f"fcmp uno double {held}, {held}")
            keep = f.emit(f"or i1 {kept}, {nan}")
            f.store(f.emit(f"select i1 {keep}, double {held}, double {number}"), best)

        f.loop(counts[2], step)
        return f.value(best)

    def exponentials(i: str, j: str) -> tuple[str, str]:
        top = extremum(i, j, "oge")
        size = f.emit(f"call double @llvm.fabs.f64(double {top})")
        finite = f.emit(f"fcmp olt double {size}, {literal(float('inf'))}")
        shift = f.emit(f"select i1 {finite}, double {top}, double {literal(0.0)}")
        return shift, total(lambda k: exponential(i, j, k, shift))

    def exponential(i: str, j: str, k: str, shift: str) -> str:
        number = f.load("%v", x.place(i, j, k))
        return f.emit(f"call double @exp(double {f.emit(f'fsub double {number}, {shift}')})")

    def forward(i: str, j: str) -> None:
        if kind == "sum":
            number = total(lambda k: f.load("%v", x.place(i, j, k)))
        elif kind == "logsumexp":
            shift, whole = exponentials(i, j)
            number = f.emit(f"fadd double {f.emit(f'call double @log(double {whole})')}, {shift}")
        else:
            number = extremum(i, j, "oge" if kind == "max" else "ole")
        f.store(number, f.at("%v", result.place(i, j)))

    def pull_back(i: str, j: str) -> None:
        place = result.place(i, j)
        g = f.load("%g", place)
        share: Callable[[str], str]
        if kind == "sum":
            share = lambda k: g  # noqa: E731
        elif kind == "logsumexp":
            top = extremum(i, j, "oge")
            whole = total(lambda k: exponential(i, j, k, top))
            share = lambda k: f.emit(  # noqa: E731
                f"fmul double {g}, {f.emit(f'fdiv double {exponential(i, j, k, top)}, {whole}')}"
            )
        else:
            y = f.load("%v", place)

            def chosen(k: str) -> str:
                same = f.emit(f"fcmp oeq double {f.load('%v', x.place(i, j, k))}, {y}")
                return f.emit(f"select i1 {same}, double 1.0, double 0.0")

            ties = total(chosen)
            share = lambda k: f.emit(  # noqa: E731
                f"fmul double {g}, {f.emit(f'fdiv double {chosen(k)}, {ties}')}"
            )
        f.loop(counts[2], lambda k: f.add_to("%g", x.place(i, j, k), share(k)))

    body = pull_back if backward else forward
    f.loop(counts[0], lambda i: f.loop(counts[1], lambda j: body(i, j)))
    return f.text()


def _nothing() -> None:
    pass


def _contraction(name: str, backward: bool) -> list[str]:
    """The sum of products over the last loop; it takes the stride 1 of both where it is so."""
    f = _Function(name)
    counts = [f.field(COUNTS + i) for i in range(3)]
    result, a, b = (_Operand(f, at) for at in (RESULT, *INPUTS[:2]))
    bits = f.field(BITS) if backward else ""
    units = [f.emit(f"icmp eq i64 {one.strides[2]}, 1") for one in (a, b)]
    unit = f.emit(f"and i1 {units[0]}, {units[1]}")

    def forward(i: str, j: str, known: bool) -> None:
        variable = f.variable(literal(-0.0))

        def step(k: str) -> None:
            x, y = (f.load("%v", one.place(i, j, k, unit=known)) for one in (a, b))
            product = f.emit(f"fmul double {x}, {y}")
            f.store(f.emit(f"fadd reassoc double {f.value(variable)}, {product}"), variable)

        f.loop(counts[2], step)
        f.store(f.value(variable), f.at("%v", result.place(i, j)))

    def pull_back(i: str, j: str, known: bool) -> None:
        g = f.load("%g", result.place(i, j))
        for bit, (mine, other) in enumerate(((a, b), (b, a))):
            flag = f.emit(f"icmp ne i64 {f.emit(f'and i64 {bits}, {1 << bit}')}, 0")

            def step(k: str, mine: _Operand = mine, other: _Operand = other) -> None:
                factor = f.load("%v", other.place(i, j, k, unit=known))
                part = f.emit(f"fmul double {g}, {factor}")
                f.add_to("%g", mine.place(i, j, k, unit=known), part)

            f.either(flag, partial(f.loop, counts[2], step), _nothing)

    body = pull_back if backward else forward

    def rows(known: bool) -> None:
        f.loop(counts[0], lambda i: f.loop(counts[1], lambda j: body(i, j, known)))

    f.either(unit, lambda: rows(True), lambda: rows(False))
    return f.text()


def row_loop(backward: bool) -> list[str]:
    """All operations, and `void rows_forward(v, g, rows, start, stop)` that calls them in turn."""
    table = opcodes()
    way = "backward" if backward else "forward"
    lines = _driver(backward)
    names: list[str] = []
    texts: Sequence[tuple[Any, ...]] = table.backward_texts if backward else table.forward_texts
    bits = [rest[0] if backward else 0 for _, *rest in texts]
    for number, (count, *rest) in enumerate(texts):
        names.append(f"{way}_{number}")
        lines += _operation(names[-1], count, rest[0] if backward else None, rest[-1])
    for kind in REDUCTIONS:
        names.append(f"{way}_{kind}")
        if kind == "contract":
            lines += _contraction(names[-1], backward)
        else:
            lines += _reduction(names[-1], kind, backward)
    pointers = ", ".join(f"ptr @{name}" for name in names)
    flags = ", ".join(f"i64 {one}" for one in bits)
    return [
        *lines,
        f"@{way}_table = internal constant [{len(names)} x ptr] [{pointers}]",
        f"@{way}_bits = internal constant [{len(bits)} x i64] [{flags}]",
        f"define void @rows_{way}(ptr noalias %v, ptr noalias %g, ptr noalias %rows, "
        "i64 %start, i64 %stop) {",
        "entry:",
        "%some = icmp slt i64 %start, %stop",
        "br i1 %some, label %loop, label %exit",
        "loop:",
        "%n = phi i64 [ %start, %entry ], [ %next, %end ]",
        f"%at = mul i64 %n, {ROW_FIELDS}",
        "%row = getelementptr i64, ptr %rows, i64 %at",
        "%operation = load i64, ptr %row",
        f"%slot = getelementptr ptr, ptr @{way}_table, i64 %operation",
        "%function = load ptr, ptr %slot",
        f"%each = icmp slt i64 %operation, {len(bits)}",
        "br i1 %each, label %elementwise, label %reduction",
        "elementwise:",
        f"%flags = getelementptr i64, ptr @{way}_bits, i64 %operation",
        "%bits = load i64, ptr %flags",
        f"call void @{way}_elementwise(ptr %v, ptr %g, ptr %row, ptr %function, i64 %bits)",
        "br label %end",
        "reduction:",
        "call void %function(ptr %v, ptr %g, ptr %row)",
        "br label %end",
        "end:",
        "%next = add i64 %n, 1",
        "%more = icmp slt i64 %next, %stop",
        "br i1 %more, label %loop, label %exit",
        "exit:",
        "ret void",
        "}",
    ]
