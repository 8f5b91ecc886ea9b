"""A graph as staged Python, forward and backward, as in the note's section on practice.

Every intermediate result has a variable X, and in the backward pass a dX; lines of both
passes carry the number of the forward line they belong to. What branches is added up
with +=. The code runs with NumPy alone.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.engine.code import Code, Step
from service.engine.compute import checked_cotangent, chosen_output, tensor_leaves
from service.engine.control import Control
from service.engine.operators.leaves import PROJECT
from service.engine.printing import Printer, as_integers, identifier, literal
from service.engine.program import Program
from service.engine.registry import REGISTRY, TensorSpec
from service.engine.run.backward import reached_from, unbroadcast
from service.engine.trace import Builder, Traced

_INPUT, _CONSTANT = REGISTRY["input"], REGISTRY["constant"]
_NEGATIVE = REGISTRY["negative"]
WRITTEN_ELEMENTS = 10_000
"""Larger inputs are not written out: random numbers of their shape stand in."""
_COLUMN = 60


@dataclass(frozen=True, slots=True)
class Assignment:
    """`target = value` or `target += value`; `number` is that of the forward line.

    With `at` the value is added at these places of the target, which may be `repeated`.
    """

    target: str
    value: ast.expr
    text: str
    number: int
    adds: bool = False
    input_index: int | None = None
    at: str = ""
    repeated: bool = False

    def __str__(self) -> str:
        if self.repeated:
            return f"np.add.at({self.target}, {self.at}, {self.text})"
        if self.at:
            return f"{self.target}[{self.at}] += {self.text}"
        return f"{self.target} {'+=' if self.adds else '='} {self.text}"


@dataclass(slots=True)
class Stage:
    """One gate: the line that computes it, and the lines of its backward pass."""

    node: str
    number: int
    forward: Assignment
    backward: list[Assignment] = field(default_factory=list)


@dataclass(slots=True)
class Staged:
    """A whole staged computation; `variables` finds a node's variable, `gradients` its dX."""

    output: str
    leaves: list[Assignment]
    stages: list[Stage]
    backward: list[Stage]
    seed: Assignment
    unreached: list[Assignment]
    variables: dict[str, str]
    gradients: dict[str, str]
    helpers: list[str]
    modules: set[str]
    stand_ins: list[str]

    @property
    def code(self) -> str:
        """The source text."""
        return _written(self)


def staged(
    program: Program,
    inputs: Mapping[str, Any],
    *,
    output: str | None = None,
    cotangent: Any = None,
    careful: bool = False,
    control: Control | None = None,
) -> Staged:
    """The staged code of a program at these inputs.

    `careful` writes numbers as NumPy's, which overflow and divide by zero without an
    exception. A tensor output without a cotangent is differentiated as its sum. Raises
    GraphError as `compute.gradient` does.
    """
    name = chosen_output(program, output)
    spec = program.spec(name)
    if cotangent is None and spec.shape != () and spec.floating:
        cotangent = np.ones(spec.shape, spec.dtype)
    seed = checked_cotangent(program, name, cotangent)
    return _Writer(program, inputs, name, seed, careful, control).write()


class _Writer:
    """Goes through the code forwards and backwards, and writes as it goes."""

    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Any],
        output: str,
        seed: Any,
        careful: bool,
        control: Control | None = None,
    ) -> None:
        self.control = control
        self.program = program
        self.code = program.code
        self.values = tensor_leaves(program, inputs)
        self.output = output
        self.seed = seed
        self.careful = careful
        self.owner = _owners(self.code)
        self.taken = {"np", "math"} | {op.name for op in REGISTRY if not (op.code or op.composite)}
        self.names: dict[int, str] = {}
        self.grads: dict[int, str] = {}
        self.forward = Printer(self.code, {})
        self.helpers: dict[str, str] = {}
        self.modules: set[str] = {"np"}
        self.stand_ins: list[str] = []
        self.temporaries = 0
        self.inlined: set[int] = set()
        self.integers: set[int] = set()

    def _numbers(self, slot: int) -> Any:
        """The value of a leaf."""
        step = self.code.steps[slot]
        return step.value if step.operator is _CONSTANT else self.values[step.name or ""]

    def write(self) -> Staged:
        last = self.code.names[self.output]
        needed = _needed(self.code, last)
        self.inlined = _inlined(self.code, needed, last)
        self.integers = _integers(self.code, needed, self._numbers)
        self._name_slots(needed)
        leaves = [self._leaf(slot) for slot in needed if self._is_leaf(slot)]
        stages, numbers = self._forward(needed)
        reached = reached_from(self.code, self._differentiable(needed))
        self._name_gradients(needed, reached)
        seed = self._assignment(self.grads[last], literal(self.seed), 0)
        if np.ndim(self.seed) and np.all(np.asarray(self.seed) == 1):
            shape = literal(np.shape(self.seed))
            ones = ast.Call(ast.Attribute(ast.Name("np"), "ones"), [shape], [])
            seed = self._assignment(self.grads[last], ones, 0)
        backward, held = self._backward(needed, reached, last, stages, numbers)
        unreached = []
        for slot in needed:
            step = self.code.steps[slot]
            if step.operator is _INPUT and step.spec.floating and not held[slot]:
                zero = ast.Call(
                    ast.Attribute(ast.Name("np"), "zeros_like"), [ast.Name(self.names[slot])], []
                )
                if slot != last:
                    unreached.append(self._assignment(self.grads[slot], zero, 0))
        return Staged(
            self.output,
            leaves,
            list(stages.values()),
            backward,
            seed,
            unreached,
            {
                name: self.names[slot]
                for name, slot in self.code.names.items()
                if slot in self.names
            },
            {
                name: self.grads[slot]
                for name, slot in self.code.names.items()
                if slot in self.grads
            },
            list(self.helpers.values()),
            self.modules,
            self.stand_ins,
        )

    def _is_leaf(self, slot: int) -> bool:
        step = self.code.steps[slot]
        return step.operator is _INPUT or (step.operator is _CONSTANT and step.name is not None)

    def _name_slots(self, needed: Sequence[int]) -> None:
        """A variable for every slot, but for literal numbers and tuples of outputs."""
        for slot in needed:
            step = self.code.steps[slot]
            if step.name is not None and slot not in self.inlined:
                self.names[slot] = identifier(step.name, self.taken)
        parts: Counter[str] = Counter()
        for slot in needed:
            step = self.code.steps[slot]
            if slot in self.names or slot in self.inlined or step.specs:
                continue
            if step.operator is _CONSTANT and step.spec.size <= 16:
                continue
            owner = self.owner[slot]
            parts[owner] += 1
            self.names[slot] = identifier(f"{owner}_{parts[owner]}", self.taken)
        self.forward.names, self.forward.integers = self.names, self.integers

    def _name_gradients(self, needed: Sequence[int], reached: Sequence[int]) -> None:
        for slot in needed:
            if slot in self.names and (reached[slot] or self.code.steps[slot].name == self.output):
                self.grads[slot] = identifier(f"d{self.names[slot]}", self.taken)

    def _differentiable(self, needed: Sequence[int]) -> list[int]:
        return [
            slot
            for slot in needed
            if self.code.steps[slot].operator is _INPUT and self.code.steps[slot].spec.floating
        ]

    def _leaf(self, slot: int) -> Assignment:
        """The line that gives a leaf its value."""
        value, name = self._numbers(slot), self.names[slot]
        if slot in self.integers:
            value = as_integers(value)
        array = np.asarray(value)
        if array.size > WRITTEN_ELEMENTS:
            self.stand_ins.append(name)
            size = ", ".join(map(str, array.shape))
            drawn = f"np.random.default_rng(0).standard_normal(({size},)).astype(np.{array.dtype})"
            if array.dtype.kind != "f":
                drawn = f"np.zeros(({size},), np.{array.dtype})"
            return self._assignment(name, ast.parse(drawn, mode="eval").body, 0)
        expression = literal(value)
        if array.ndim == 0 and array.dtype == np.float64 and self.careful:
            numpy_float = ast.Attribute(ast.Name("np"), "float64")
            expression = ast.Call(numpy_float, [expression], [])
        if array.ndim == 0 and array.dtype == np.bool_:
            expression = ast.Call(ast.Attribute(ast.Name("np"), "bool_"), [expression], [])
        return self._assignment(name, expression, 0)

    def _assignment(
        self,
        target: str,
        value: ast.expr,
        number: int,
        *,
        adds: bool = False,
        index: int | None = None,
        printer: Printer | None = None,
        at: str = "",
        repeated: bool = False,
    ) -> Assignment:
        if self.control is not None:
            self.control.check()
        printer = printer or self.forward
        text = printer.source(value)
        self.modules |= printer.modules
        self.helpers.update(printer.helpers)
        return Assignment(target, value, text, number, adds, index, at, repeated)

    def _forward(self, needed: Sequence[int]) -> tuple[dict[int, Stage], dict[int, int]]:
        """A numbered line for every gate."""
        stages: dict[int, Stage] = {}
        numbers: dict[int, int] = {}
        for slot in needed:
            step = self.code.steps[slot]
            if step.operator is PROJECT or step.leaf or slot in self.inlined:
                if step.operator is _CONSTANT and step.name is None and slot in self.names:
                    number = len(stages) + 1
                    line = self._assignment(self.names[slot], self.forward.call(slot), number)
                    stages[slot] = Stage(self.owner[slot], number, line)
                continue
            number = numbers[slot] = len(stages) + 1
            if step.specs:
                parts = [self._part(slot, index) for index in range(len(step.specs))]
                target = ", ".join(parts) + ("," if len(parts) == 1 else "")
            else:
                target = self.names[slot]
            line = self._assignment(target, self.forward.call(slot), number)
            stages[slot] = Stage(self.owner[slot], number, line)
        return stages, numbers

    def _part(self, whole: int, index: int) -> str:
        """The variable of one output of a step with several."""
        return self.names.get(whole + 1 + index, "_")

    def _backward(
        self,
        needed: Sequence[int],
        reached: Sequence[int],
        last: int,
        stages: Mapping[int, Stage],
        numbers: Mapping[int, int],
    ) -> tuple[list[Stage], Counter[int]]:
        """The backward lines, gate by gate from the output; what was added to every slot."""
        held: Counter[int] = Counter({last: 1})
        total = self._counts(needed, reached, last)
        done: list[Stage] = []
        for slot in reversed(needed):
            step = self.code.steps[slot]
            if slot not in numbers or not reached[slot]:
                continue
            parts = range(slot + 1, slot + 1 + len(step.specs)) if step.specs else [slot]
            if not any(held[part] for part in parts):
                continue
            stage = stages[slot]
            self._gate(slot, step, stage, reached, held, total)
            done.append(stage)
        return done, held

    def _counts(self, needed: Sequence[int], reached: Sequence[int], last: int) -> Counter[int]:
        """How many contributions every slot will get."""
        total: Counter[int] = Counter({last: 1})
        for slot in reversed(needed):
            step = self.code.steps[slot]
            if step.operator is PROJECT or not reached[slot] or step.leaf or slot in self.inlined:
                continue
            parts = range(slot + 1, slot + 1 + len(step.specs)) if step.specs else [slot]
            if any(total[part] for part in parts):
                for index, source in enumerate(step.inputs):
                    if reached[source] and step.operator.rule(index) is not None:
                        total[self._root(source)] += 1
        return total

    def _root(self, slot: int) -> int:
        """The slot with a variable that an inlined one rearranges."""
        while slot in self.inlined:
            (slot,) = self.code.steps[slot].inputs
        return slot

    def _gate(
        self,
        slot: int,
        step: Step,
        stage: Stage,
        reached: Sequence[int],
        held: Counter[int],
        total: Mapping[int, int],
    ) -> None:
        """Trace one gate's rules and write their lines."""
        builder = Builder(self.program.dtype, share=True, control=self.control)
        known: dict[int, Traced] = {}
        names: dict[int, str] = {}

        def stand_in(source: int) -> Traced:
            if source in known:
                return known[source]
            step = self.code.steps[source]
            spec = TensorSpec(step.spec.shape, "int64") if source in self.integers else step.spec
            traced: Traced
            if source in self.inlined:
                inner = stand_in(step.inputs[0])
                traced = builder.opaque(step.operator, (inner,), step.attrs, spec)
            elif step.operator is _CONSTANT and source not in self.names:
                traced = builder.constant(step.value, spec)
            else:
                traced = builder.input(self.names[source], spec)
                names[traced.slot] = self.names[source]
            known[source] = traced
            return traced

        inputs = [stand_in(source) for source in step.inputs]
        y: Any
        g: Any
        if step.specs:
            y = tuple(
                self._output(builder, names, slot + 1 + i, spec)
                for i, spec in enumerate(step.specs)
            )
            g = tuple(
                self._upstream(builder, names, slot + 1 + i, spec) if held[slot + 1 + i] else None
                for i, spec in enumerate(step.specs)
            )
        else:
            y = builder.opaque(step.operator, tuple(inputs), step.attrs, step.spec)
            names[y.slot] = self.names[slot]
            g = self._upstream(builder, names, slot, step.spec)
        terms: list[tuple[int, int, Any]] = []
        wanted = [index for index, source in enumerate(step.inputs) if reached[source]]
        for index, made in step.operator.contributions(wanted, builder, g, y, inputs, step.attrs):
            source = step.inputs[index]
            term = unbroadcast(builder, made, self.code.steps[source].spec)
            while source in self.inlined:
                inner = self.code.steps[source]
                back = inner.operator.rule(0)
                assert back is not None
                whole = stand_in(inner.inputs[0])
                term = back(builder, term, known[source], whole, **inner.attrs)
                source = inner.inputs[0]
                term = unbroadcast(builder, term, self.code.steps[source].spec)
            terms.append((index, source, term))
        printer = Printer(builder.code, names)
        for temporary, text in self._shared(builder, printer, names, terms):
            stage.backward.append(self._assignment(text, temporary, stage.number, printer=printer))
        for index, source, term in terms:
            stage.backward += self._contribution(
                printer,
                stage.number,
                index,
                source,
                term,
                first=not held[source],
                last=total[source] == 1,
            )
            held[source] += 1

    def _contribution(
        self,
        printer: Printer,
        number: int,
        index: int,
        source: int,
        term: Any,
        *,
        first: bool,
        last: bool,
    ) -> list[Assignment]:
        """The lines that add one term to a gradient; the only ones if it is `first` and `last`."""
        target = self.grads[source]
        if not isinstance(term, Traced):
            value = literal(float(term))
            return [self._assignment(target, value, number, adds=not first, index=index)]
        part = None if term.slot in printer.names else printer.scattered(term.slot)
        if part is not None:
            at, value, repeated = part
            zeros = ast.Attribute(ast.Name("np"), "zeros_like")
            blank = ast.Call(zeros, [ast.Name(self.names[source])], [])
            lines = [self._assignment(target, blank, number)] if first else []
            added = self._assignment(
                target,
                value,
                number,
                adds=True,
                index=index,
                printer=printer,
                at=at,
                repeated=repeated,
            )
            return [*lines, added]
        value = printer.expression(term.slot)
        if term.slot in printer.names:
            value = ast.BinOp(ast.Constant(1.0), ast.Mult(), value)
        elif first and not last and printer.is_view(term.slot):
            value = ast.Call(ast.Attribute(ast.Name("np"), "array"), [value], [])
        return [
            self._assignment(target, value, number, adds=not first, index=index, printer=printer)
        ]

    def _output(
        self, builder: Builder, names: dict[int, str], slot: int, spec: TensorSpec
    ) -> Traced:
        made = builder.input(f"y{slot}", spec)
        if slot in self.names:
            names[made.slot] = self.names[slot]
        return made

    def _upstream(
        self, builder: Builder, names: dict[int, str], slot: int, spec: TensorSpec
    ) -> Traced:
        made = builder.input(f"g{slot}", spec)
        names[made.slot] = self.grads[slot]
        return made

    def _shared(
        self,
        builder: Builder,
        printer: Printer,
        names: dict[int, str],
        terms: Sequence[tuple[int, int, Any]],
    ) -> list[tuple[ast.expr, str]]:
        """Variables for the parts of a gate's rules that are used more than once."""
        steps = builder.code.steps
        uses: Counter[int] = Counter()
        visited: set[int] = set()

        waiting = [term.slot for _, _, term in terms if isinstance(term, Traced)]
        while waiting:
            slot = waiting.pop()
            uses[slot] += 1
            if slot not in names and slot not in visited:
                visited.add(slot)
                waiting += steps[slot].inputs
        made = []
        for slot in sorted(uses):
            step = steps[slot]
            heavy = bool(step.inputs) and step.operator is not PROJECT and slot not in names
            if heavy and uses[slot] > 1 and not _light(step):
                value = printer.call(slot)
                self.temporaries += 1
                name = identifier(f"t{self.temporaries}", self.taken)
                made.append((value, name))
                names[slot] = printer.names[slot] = name
        return made


def _light(step: Step) -> bool:
    """Whether a step is short enough to be written twice."""
    return step.operator.view or step.operator is _NEGATIVE


_UNNAMED = re.compile(r"_\d+")


def _inlined(code: Code, needed: Sequence[int], last: int) -> set[int]:
    """Rearrangements that nobody gave a name and one step alone reads: printed inside that one."""
    readers = Counter(source for slot in needed for source in code.steps[slot].inputs)
    return {
        slot
        for slot in needed
        if slot != last
        and readers[slot] == 1
        and code.steps[slot].operator.view
        and code.steps[slot].operator.rule(0) is not None
        and _UNNAMED.fullmatch(code.steps[slot].name or "_0")
        and code.steps[code.steps[slot].inputs[0]].operator is not _CONSTANT
    }


def _integers(code: Code, needed: Sequence[int], value: Callable[[int], Any]) -> set[int]:
    """Slots of whole numbers that are read as places or labels alone, rearranged or not."""
    others: set[int] = set()
    readers: set[int] = set()
    for slot in reversed(needed):
        step = code.steps[slot]
        for place, source in enumerate(step.inputs):
            readers.add(source)
            onward = step.operator.view and slot in readers and slot not in others
            if place not in step.operator.indices and not onward:
                others.add(source)
    candidates = readers - others
    integers: set[int] = set()
    for slot in needed:
        step = code.steps[slot]
        if slot not in candidates or not step.spec.floating:
            continue
        if step.leaf and step.operator in (_INPUT, _CONSTANT):
            numbers = np.asarray(value(slot))
            if np.array_equal(numbers, np.trunc(numbers)):
                integers.add(slot)
        elif step.operator.view and step.inputs[0] in integers:
            integers.add(slot)
    return integers


def _needed(code: Code, last: int) -> list[int]:
    """The slots that the output depends on, in order; all inputs too."""
    wanted = bytearray(len(code.steps))
    wanted[last] = 1
    for slot in range(len(code.steps) - 1, -1, -1):
        step = code.steps[slot]
        if step.operator is _INPUT:
            wanted[slot] = 1
        if wanted[slot]:
            for source in step.inputs:
                wanted[source] = 1
    found = []
    for slot, step in enumerate(code.steps):
        if step.operator is PROJECT and wanted[step.inputs[0]]:
            wanted[slot] = 1
        if wanted[slot]:
            found.append(slot)
    return found


def _owners(code: Code) -> list[str]:
    """For every slot the node it is part of."""
    owners, name = [""] * len(code.steps), ""
    for slot in range(len(code.steps) - 1, -1, -1):
        name = code.steps[slot].name or name
        owners[slot] = name
    return owners


def _written(staged: Staged) -> str:
    """The text: imports, helpers, values, forward pass, backward pass."""
    lines = ["import math"] if "math" in staged.modules else []
    lines.append("import numpy as np")
    for helper in staged.helpers:
        lines += ["", "", helper] if helper.startswith("def ") else ["", helper]
    if staged.helpers:
        lines.append("")
    lines.append("")
    for leaf in staged.leaves:
        remark = "  # random numbers: put yours here" if leaf.target in staged.stand_ins else ""
        lines.append(f"{leaf}{remark}")
    lines += ["", "# forward pass"]
    lines += [_numbered(stage.forward) for stage in staged.stages]
    lines += ["", f"# backward pass: d<name> is the gradient of {staged.output} on <name>"]
    lines.append(str(staged.seed))
    for stage in staged.backward:
        lines.append(f"# backprop {stage.forward}")
        lines += [_numbered(line) for line in stage.backward]
    if staged.unreached:
        lines.append(f"# no path leads from these to {staged.output}")
        lines += map(str, staged.unreached)
    return "\n".join(lines) + "\n"


def _numbered(line: Assignment) -> str:
    text = str(line)
    gap = max(2, _COLUMN - len(text))
    return f"{text}{' ' * gap}#({line.number})"
