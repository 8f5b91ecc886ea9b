"""The loops of the compiled way, in LLVM's intermediate representation.

For graphs of numbers a row is a node: the operation, the operation of its rules, its place,
the places of up to three inputs and that of its attributes' numbers, in one flat memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_int64, c_void_p
from functools import cache
from typing import Any

from service.engine.run.ir import DECLARATIONS, Instructions
from service.engine.run.native import Library
from service.engine.run.number_code import Text
from service.engine.run.opcodes import opcodes
from service.engine.run.row_loops import row_loop

NODE_FIELDS = 8
"""Of 32 bits: operation, operation of the rules, place, three inputs, attributes, unused."""
_OPERATION, _RULES, _PLACE, _INPUT, _ATTRIBUTES = 0, 1, 2, 3, 6


@cache
def library() -> Library:
    """The compiled loops; made, or read from the cache, once."""
    ways = (False, True)
    source = [*DECLARATIONS, *(line for way in ways for line in _number_loop(way))]
    source += [line for way in ways for line in row_loop(way)]
    numbers, rows = [c_void_p] * 4 + [c_int64] * 2, [c_void_p] * 3 + [c_int64] * 2
    functions = {f"numbers_{way}": numbers for way in ("forward", "backward")}
    functions |= {f"rows_{way}": rows for way in ("forward", "backward")}
    return Library("\n".join(source), functions)


def _field(at: int, name: str, wide: bool = True) -> list[str]:
    """Read a field of the row `%row`."""
    lines = [
        f"%{name}.p = getelementptr i32, ptr %row, i64 {at}",
        f"%{name}.n = load i32, ptr %{name}.p",
    ]
    return [*lines, f"%{name} = sext i32 %{name}.n to i64"] if wide else lines


def _number_loop(backward: bool) -> list[str]:
    """`void (v, g, joined, rows, start, stop)`: over the rows, the last first in `backward`."""
    table = opcodes()
    name, field = ("backward", _RULES) if backward else ("forward", _OPERATION)
    texts: Sequence[tuple[Any, ...]] = table.backward_texts if backward else table.forward_texts
    head = [
        f"define void @numbers_{name}(ptr noalias %v, ptr noalias %g, ptr noalias %joined, "
        "ptr noalias %rows, i64 %start, i64 %stop) {",
        "entry:",
        "%some = icmp slt i64 %start, %stop",
        f"br i1 %some, label %{'enter' if backward else 'loop'}, label %exit",
        *(["enter:", "%last = sub i64 %stop, 1", "br label %loop"] if backward else []),
        "loop:",
        f"%n = phi i64 [ {'%last, %enter' if backward else '%start, %entry'} ], [ %next, %end ]",
        f"%at = mul i64 %n, {NODE_FIELDS}",
        "%row = getelementptr i32, ptr %rows, i64 %at",
        *_field(_PLACE, "place"),
        *_field(field, "operation", wide=False),
    ]
    if backward:
        head += [
            "%flag.p = getelementptr i8, ptr %joined, i64 %place",
            "%flag = load i8, ptr %flag.p",
            "%wanted = icmp ne i8 %flag, 0",
            "br i1 %wanted, label %act, label %end",
            "act:",
        ]
    cases = " ".join(f"i32 {i}, label %op{i}" for i in range(len(texts)))
    head.append(f"switch i32 %operation.n, label %end [ {cases} ]")
    for number, text in enumerate(texts):
        head += [f"op{number}:", *_number_case(number, *text, backward=backward), "br label %end"]
    return [
        *head,
        "end:",
        f"%next = {'sub' if backward else 'add'} i64 %n, 1",
        f"%more = icmp {'sge i64 %next, %start' if backward else 'slt i64 %next, %stop'}",
        "br i1 %more, label %loop, label %exit",
        "exit:",
        "ret void",
        "}",
    ]


def _number_case(number: int, count: int, *rest: Any, backward: bool) -> list[str]:
    """One operation on numbers: what the text says, between loads and stores."""
    text: Text = rest[-1]
    code = Instructions({}, f"c{number}")
    places = {}
    names = {}

    def load(array: str, place: str) -> str:
        pointer = code.emit(f"getelementptr double, ptr {array}, i64 {place}")
        return code.emit(f"load double, ptr {pointer}")

    def place_of(field: int) -> str:
        pointer = code.emit(f"getelementptr i32, ptr %row, i64 {field}")
        return code.emit(f"sext i32 {code.emit(f'load i32, ptr {pointer}')} to i64")

    for argument in text.arguments:
        if argument[0] == "x":
            places[argument] = place_of(_INPUT + int(argument[1:]))
            names[argument] = load("%v", places[argument])
        elif argument in ("g", "y"):
            names[argument] = load("%g" if argument == "g" else "%v", "%place")
    numbers = [argument for argument in text.arguments if argument[0] == "k"]
    if numbers:
        base = place_of(_ATTRIBUTES)
        for offset, argument in enumerate(numbers):
            names[argument] = load("%v", code.emit(f"add i64 {base}, {offset}"))
    code.names(names)
    code.add(text.lines)
    if not backward:
        pointer = code.emit("getelementptr double, ptr %v, i64 %place")
        code.lines.append(f"store double {code.number(str(text.results[0]))}, ptr {pointer}")
        return code.lines
    wanted = [i for i in range(count) if rest[0] >> i & 1]
    parts = [code.number(str(result)) for result in text.results]
    for index, part in zip(wanted, parts, strict=True):
        place = places[f"x{index}"]
        pointer = code.emit(f"getelementptr double, ptr %g, i64 {place}")
        total = code.emit(f"fadd double {code.emit(f'load double, ptr {pointer}')}, {part}")
        code.lines.append(f"store double {total}, ptr {pointer}")
        flag = code.emit(f"getelementptr i8, ptr %joined, i64 {place}")
        code.lines.append(f"store i8 1, ptr {flag}")
    return code.lines
