"""A graph explained: every step forward and backward, the code, the formulas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from service.diagrams.numbers import tensor
from service.engine.compute import NotFinite, chosen_output
from service.engine.compute import gradient as engine_gradient
from service.engine.contributions import (
    Backward,
    Contribution,
    contributions,
    output_place,
)
from service.engine.control import Control
from service.engine.gate import Source, output_names, sources_of
from service.engine.printing import Unprintable
from service.engine.program import Program
from service.explain.dimensions import broadcast_for, product_for
from service.explain.latex import Formula, symbol
from service.explain.sentences import Branch, accumulation_sentence, backward_sentence
from service.explain.staged import Assignment, Stage, Staged, staged

_MATRIX_GATES = ("matmul",)


def explain(
    program: Program,
    inputs: Mapping[str, Any],
    *,
    output: str | None = None,
    cotangent: Any = None,
    control: Control | None = None,
) -> dict[str, Any]:
    """The explanation as nested dicts and lists whose leaves are texts, numbers and tensors.

    A tensor output without a cotangent is differentiated as its sum. Raises GraphError as
    `compute.gradient` does, DeadlineExceeded, Cancelled.
    """
    name = chosen_output(program, output)
    spec = program.spec(name)
    note = ""
    if cotangent is None and spec.shape != () and spec.floating:
        cotangent = np.ones(spec.shape, spec.dtype)
        note = f"the gradients are those of sum({name})"
    back = contributions(program, inputs, output=name, cotangent=cotangent, control=control)
    return _Explainer(program, inputs, name, cotangent, back, note, control).explain()


class _Explainer:
    def __init__(
        self,
        program: Program,
        inputs: Mapping[str, Any],
        output: str,
        cotangent: Any,
        back: Backward,
        note: str,
        control: Control | None,
    ) -> None:
        self.control = control
        self.program = program
        self.graph = program.graph
        self.inputs = inputs
        self.output = output
        self.cotangent = cotangent
        self.back = back
        self.note = note
        self.needed = self._needed()
        finite = all(
            bool(np.all(np.isfinite(t)))
            for t in (*back.values.values(), *back.gradients.values())
            if np.asarray(t).dtype.kind in "fc"
        )
        self.staged: Staged | None
        try:
            self.staged = staged(
                program,
                inputs,
                output=output,
                cotangent=cotangent,
                careful=not finite,
                control=control,
            )
        except Unprintable:
            self.staged = None
        self.stages: defaultdict[str, list[Stage]] = defaultdict(list)
        self.numbers: dict[str, int] = {}
        if self.staged is not None:
            for stage in self.staged.stages:
                node = self._node_of(stage.node)
                self.stages[node].append(stage)
        self.formula = self._formula()

    def _needed(self) -> set[int]:
        """The positions that the output depends on."""
        found = {output_place(self.program, self.output)[0]}
        for position in reversed(self.graph.order):
            if position in found:
                found.update(
                    source.position
                    for source in sources_of(self.program, position)
                    if source.position is not None
                )
        return found

    def _node_of(self, name: str) -> str:
        return name if name in self.graph.index else name.rpartition(".")[0]

    def _formula(self) -> Formula:
        if self.staged is None:
            return Formula(self.output, {})
        variables = {v: k for k, v in self.staged.gradients.items()}
        named = {grad: self.staged.variables.get(node, node) for grad, node in variables.items()}
        return Formula(self.staged.variables[self.output], named)

    def explain(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "output": self.output,
            "value": self.back.values[output_place(self.program, self.output)],
            "leaves": [self._leaf(position) for position in sorted(self.graph.leaves)],
            "forward": self._forward(),
            "backward": self._backward(),
            "gradients": {
                name: self._gradient((self.graph.index[name], 0))
                for name in self.program.floating_inputs
            },
        }
        if self.staged is not None:
            made |= {"code": self.staged.code, "latex": self._latex(self.staged)}
        if self.note:
            made["note"] = self.note
        warnings = self._warnings()
        if warnings:
            made["warnings"] = [
                {"kind": w.kind, "node": w.node, "detail": w.detail} for w in warnings
            ]
        return made

    def _warnings(self) -> list[NotFinite]:
        """What the gradient endpoint would warn of."""
        everything = (*self.back.values.values(), *self.back.gradients.values())
        if all(np.all(np.isfinite(t)) for t in everything if np.asarray(t).dtype.kind == "f"):
            return []
        return engine_gradient(
            self.program,
            self.inputs,
            output=self.output,
            cotangent=self.cotangent,
            values=False,
        ).warnings

    def _leaf(self, position: int) -> dict[str, Any]:
        name = self.graph.ids[position]
        return {
            "node": name,
            "kind": self.graph.leaves[position].kind,
            "shape": list(self.program.spec(name).shape),
            "value": self.back.values[position, 0],
        }

    def _look(self) -> None:
        if self.control is not None:
            self.control.check()

    def _gradient(self, place: tuple[int, int]) -> Any:
        held = self.back.gradients.get(place)
        if held is not None:
            return held
        return np.zeros_like(self.back.values[place])

    def _forward(self) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = []
        for position in self.graph.order:
            if position not in self.needed:
                continue
            self._look()
            node, op = self.graph.ids[position], self.graph.operator(position)
            self.numbers[node] = len(steps) + 1
            stages = self.stages[node]
            names = output_names(self.program, position)
            values = {name: self.back.values[position, i] for i, name in enumerate(names)}
            step: dict[str, Any] = {
                "step": len(steps) + 1,
                "node": node,
                "op": op.name,
                "inputs": [self._input(source) for source in sources_of(self.program, position)],
                "shape": list(self.program.spec(names[0]).shape),
                "value": values[names[0]],
                "sentence": self._forward_sentence(position, node, stages),
                "code": [str(stage.forward) for stage in stages],
                "latex": r" \\ ".join(
                    f"{_target(stage)} = {self.formula.text(stage.forward.value)}"
                    for stage in stages
                ),
            }
            if len(names) > 1:
                step["outputs"] = values
            steps.append(step)
        return steps

    def _forward_sentence(self, position: int, node: str, stages: list[Stage]) -> str:
        value = tensor(self.back.values[position, 0])
        inputs = [self._name(source) for source in sources_of(self.program, position)]
        shape = self.program.spec(output_names(self.program, position)[0]).shape
        of = f", of shape {shape}" if shape else ""
        if len(stages) == 1 and len(stages[0].forward.text) <= 60:
            return f"{stages[0].forward} is {value}{of}."
        op = self.graph.operator(position).name
        return f"{node} = {op}({', '.join(inputs)}) is {value}{of}."

    def _name(self, source: Source) -> str:
        if source.position is None:
            return f"{source.literal:g}" if source.literal is not None else ""
        names = output_names(self.program, source.position)
        return names[source.output] if len(names) > 1 else self.graph.ids[source.position]

    def _input(self, source: Source) -> dict[str, Any]:
        if source.position is None:
            return {"literal": source.literal}
        return {
            "node": self._name(source),
            "value": self.back.values[source.position, source.output],
        }

    def _backward(self) -> list[dict[str, Any]]:
        by_gate: dict[int, list[Contribution]] = {}
        for edge in self.back.edges:
            by_gate.setdefault(edge.target, []).append(edge)
        totals: dict[tuple[int, int], int] = defaultdict(int)
        for edge in self.back.edges:
            totals[edge.source, edge.output] += 1
        steps: list[dict[str, Any]] = []
        before: dict[tuple[int, int], Any] = {}
        for position, edges in by_gate.items():
            self._look()
            node, op = self.graph.ids[position], self.graph.operator(position)
            sources = sources_of(self.program, position)
            stages = self.stages[node]
            upstream = edges[0].upstream
            several = isinstance(upstream, tuple)
            step: dict[str, Any] = {
                "step": len(steps) + 1,
                "forward_step": self.numbers[node],
                "node": node,
                "op": op.name,
                "pattern": op.pattern or ("composite" if op.composite else "chain"),
                "upstream": [
                    np.zeros_like(self.back.values[position, i]) if g is None else g
                    for i, g in enumerate(upstream)
                ]
                if several
                else upstream,
                "sentence": backward_sentence(
                    op,
                    node,
                    None if several else upstream,
                    self._branches(sources, edges),
                    self.back.values[position, 0],
                ),
                "gradient_formula": op.gradient_formula,
                "edges": [],
                "code": [str(line) for stage in reversed(stages) for line in stage.backward],
            }
            lines: dict[int | None, Assignment] = {}
            for line in stages[0].backward if len(stages) == 1 else ():
                lines.setdefault(line.input_index, line)
            for edge in edges:
                key = (edge.source, edge.output)
                own = lines.get(edge.input_index)
                step["edges"].append(self._edge(edge, sources, before.get(key), totals[key], own))
                before[key] = edge.total
            steps.append(step)
        return steps

    def _branches(self, sources: tuple[Source, ...], edges: list[Contribution]) -> list[Branch]:
        along = {edge.input_index: edge for edge in edges}
        branches = []
        for index, source in enumerate(sources):
            if source.position is None:
                branches.append(Branch(self._name(source), source.literal, literal=True))
                continue
            edge = along.get(index)
            branches.append(
                Branch(
                    self._name(source),
                    self.back.values[source.position, source.output],
                    None if edge is None else edge.local,
                    None if edge is None else edge.value,
                )
            )
        return branches

    def _edge(
        self,
        edge: Contribution,
        sources: tuple[Source, ...],
        before: Any,
        total: int,
        line: Assignment | None,
    ) -> dict[str, Any]:
        name = self._name(sources[edge.input_index])
        made: dict[str, Any] = {
            "input": name,
            "input_index": edge.input_index,
            "contribution": edge.value,
            "accumulated": edge.total,
            "part": edge.place + 1,
            "parts": total,
        }
        if edge.local is not None:
            made["local_gradient"] = edge.local
        if total > 1:
            made["accumulation"] = (
                accumulation_sentence(name, before, edge.value, edge.total, edge.place)
                or f"{name} is used {total} times; this is the first part of its gradient."
            )
        if line is not None:
            made["code"] = str(line)
            sign = r"\mathrel{+}=" if line.adds else "="
            target = self.formula.gradients.get(line.target, name)
            made["latex"] = f"{self.formula.partial(target)} {sign} {self.formula.text(line.value)}"
        dimensions = self._dimensions(edge, sources, name)
        if dimensions:
            made["dimensions"] = dimensions
        return made

    def _dimensions(self, edge: Contribution, sources: tuple[Source, ...], name: str) -> str:
        op = self.graph.operator(edge.target)
        if isinstance(edge.upstream, tuple):
            return ""
        shape, g = np.shape(edge.value), np.shape(edge.upstream)
        upstream = f"d{self.graph.ids[edge.target]}"
        if op.name in _MATRIX_GATES and len(sources) == 2:
            other = sources[1 - edge.input_index]
            if other.position is not None:
                x = np.shape(self.back.values[other.position, other.output])
                return product_for(f"d{name}", shape, upstream, g, self._name(other), x)
        if op.elementwise:
            return broadcast_for(f"d{name}", shape, upstream, g)
        return ""

    def _latex(self, written: Staged) -> str:
        """Both passes as one aligned block."""
        lines = [
            rf"{_target(stage)} &= {self.formula.text(stage.forward.value)}"
            for stage in written.stages
        ]
        for stage in written.backward:
            for line in stage.backward:
                target = self.formula.gradients.get(line.target)
                left = symbol(line.target) if target is None else self.formula.partial(target)
                sign = r"\mathrel{+}=" if line.adds else "="
                lines.append(f"{left} &{sign} {self.formula.text(line.value)}")
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _target(stage: Stage) -> str:
    return ", ".join(
        symbol(name.strip()) for name in stage.forward.target.split(",") if name.strip()
    )
