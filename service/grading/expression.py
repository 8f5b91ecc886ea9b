"""The student's own forward code, held against the task's graph. Parsed, never executed."""

from __future__ import annotations

import numpy as np

from service.engine.compute import forward
from service.engine.errors import EngineError, GraphError
from service.engine.expression import parse_expression
from service.engine.graph import resolve
from service.engine.program import program_for
from service.grading.truth import Truth

_MAX_NODES = 2_000


def check_expression(truth: Truth, source: str) -> list[str]:
    """What there is to say about a forward pass written by a student; nothing raises.

    It is run as a graph of its own at the task's points and at the seeded extra ones, and its
    output compared; where it differs, the first of its names that the task's graph has too and
    that holds something else is named.
    """
    try:
        graph = resolve(parse_expression(source))
    except GraphError as error:
        fault = error.faults[0]
        place = f" (line {fault.line})" if fault.line is not None else ""
        return [f"the expression can't be used: {fault.detail}{place}"]
    except (EngineError, ValueError, RecursionError):
        return ["the expression can't be used: it can't be read"]
    if len(graph) > _MAX_NODES:
        return ["the expression can't be used: it is too long"]
    tolerance = truth.task.tolerance
    circuit = truth.circuit.program.graph
    given = {circuit.ids[position] for position in circuit.leaves}
    for values in (*(p.values for p in truth.points), *(p.values for p in truth.extra)):
        unknown = [name for name in graph.inputs if name not in given]
        if unknown:
            return [f"the expression can't be used: '{unknown[0][:40]}' is not known"]
        inputs = {name: values[name] for name in graph.inputs}
        inputs = {n: float(v) if np.ndim(v) == 0 else v for n, v in inputs.items()}
        try:
            found = forward(program_for(graph, inputs, "float64", truth.limits), inputs)
        except (EngineError, ValueError, ArithmeticError) as error:
            return [f"the expression can't be computed: {str(error)[:200]}"]
        result = next(iter(found.outputs.values()))
        wanted = values[truth.circuit.output]
        if np.shape(result) == np.shape(wanted) and tolerance.equal(result, wanted):
            continue
        for name in graph.ids:
            own = (found.values or {}).get(name)
            if name in graph.inputs or name not in values or own is None:
                continue
            if np.shape(own) != np.shape(values[name]) or not tolerance.equal(own, values[name]):
                return [
                    f"your expression computes another function: '{name}' is the first name that "
                    "holds something else than it should"
                ]
        return ["your expression computes another function than the task's"]
    return ["your expression computes the task's function"]
