"""Running one operator here and holding value, gradient and gradient of gradient to torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from service.engine.code import Code
from service.engine.compute import document_names, tensor_leaves
from service.engine.control import DEFAULT_LIMITS
from service.engine.graph import resolve
from service.engine.graph_spec import GraphSpec, Leaf
from service.engine.namespaces import ARRAYS
from service.engine.program import program_for
from service.engine.run.backward import pull_back
from service.engine.run.forward import run
from service.engine.trace import Builder
from service.engine.transform import finished, replay, trace_pull_back

COUNTED: Counter[str] = Counter()
"""What was compared and what was skipped, with the reason; printed at the end of the run."""


class Skip(Exception):
    """A sample that says nothing about this catalogue; the reason is counted."""


def operator_code(
    name: str, inputs: Sequence[Any], attrs: dict[str, Any]
) -> tuple[Code, dict[str, Any], list[int]]:
    """Code, leaves and floating output slots of one operator applied to arrays."""
    names = [f"x{i}" for i in range(len(inputs))]
    arrays = [np.asarray(x) for x in inputs]
    spec = GraphSpec(
        [*names, "y"],
        ["input"] * len(names) + [name],
        [()] * len(names) + [names],  # type: ignore[list-item]
        {len(names): attrs},
        {
            i: Leaf("input", dtype=None if x.dtype.kind == "f" else str(x.dtype))
            for i, x in enumerate(arrays)
        },
        "y",
    )
    given = dict(zip(names, arrays, strict=True))
    program = program_for(resolve(spec), given)
    slots = [slot for node, slot in document_names(program) if node not in given]
    return program.code, tensor_leaves(program, given), slots


def eager_gradients(code: Code, leaves: dict[str, Any], weights: dict[int, Any]) -> dict[str, Any]:
    """Gradients with respect to every floating input, by the eager sweep."""
    values = run(code, leaves)
    wanted = {n: s for n, s in code.inputs.items() if code.steps[s].spec.floating}
    with np.errstate(all="ignore"):
        found = pull_back(ARRAYS, code, values, weights, wanted.values())
    return {
        n: np.asarray(found[s]) if s in found else np.zeros(code.steps[s].spec.shape)
        for n, s in wanted.items()
    }


def gradient_code(code: Code, weights: dict[int, Any]) -> tuple[Code, list[str]]:
    """The traced gradients of the weighted outputs, as code."""
    builder = Builder(share=True)
    values = replay(builder, code)
    seeds = {s: builder.constant(w, code.steps[s].spec) for s, w in weights.items()}
    wanted = {n: s for n, s in code.inputs.items() if code.steps[s].spec.floating}
    traced = trace_pull_back(builder, code, values, seeds, list(wanted.values()))
    results = {f"d {n}": t for n, t in zip(wanted, traced, strict=True)}
    return finished(builder, results, DEFAULT_LIMITS), list(wanted)


def close(found: Any, expected: Any, what: str, rtol: float = 1e-9) -> None:
    """Equal shapes, non-finite places and digits; small numbers are held to the largest one."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: {found.shape} and {expected.shape}"
    finite = expected[np.isfinite(expected)] if expected.dtype.kind == "f" else expected
    bound = float(np.max(np.abs(finite), initial=0.0))
    np.testing.assert_allclose(
        found, expected, rtol=rtol, atol=rtol * max(bound, 1e-4), err_msg=what
    )


def hold_to_torch(
    function: Callable[..., Any],
    name: str,
    tensors: Sequence[torch.Tensor],
    attrs: dict[str, Any],
    *,
    outputs: dict[int, int] | None = None,
    order: int = 2,
    rtol: float = 1e-9,
) -> None:
    """Compare operator `name` with `function` of the same tensors, up to `order`."""
    inputs = [t.detach().clone().requires_grad_(t.is_floating_point()) for t in tensors]
    theirs = function(*inputs)
    theirs = list(theirs) if isinstance(theirs, tuple | list) else [theirs]
    code, leaves, slots = operator_code(name, [t.detach().numpy() for t in inputs], attrs)
    ours = run(code, leaves)
    pairs = {i: i for i in range(len(slots))} if outputs is None else outputs
    chosen, slots = list(pairs), {i: slots[j] for i, j in pairs.items()}  # type: ignore[assignment]
    for i in chosen:
        close(ours[slots[i]], theirs[i].detach().numpy(), f"{name} value {i}", rtol)
    smooth = [i for i in chosen if theirs[i].is_floating_point() and theirs[i].requires_grad]
    if not smooth:
        return
    rng = np.random.default_rng(0)
    weights = {slots[i]: np.asarray(rng.uniform(0.5, 1.5, theirs[i].shape)) for i in smooth}
    variables = [t for t in inputs if t.requires_grad]
    labels = [f"x{i}" for i, t in enumerate(inputs) if t.requires_grad]
    total = sum((theirs[i] * torch.from_numpy(weights[slots[i]])).sum() for i in smooth)
    first = torch.autograd.grad(total, variables, create_graph=order > 1, allow_unused=True)
    mine = eager_gradients(code, leaves, weights)
    for label, g, variable in zip(labels, first, variables, strict=True):
        expected = torch.zeros_like(variable) if g is None else g
        close(mine[label], expected.detach().numpy(force=True), f"{name} gradient of {label}", rtol)
    if order < 2 or not any(g is not None and g.requires_grad for g in first):
        return
    second_code, names = gradient_code(code, weights)
    outer = {n: np.asarray(rng.uniform(0.5, 1.5, leaves[n].shape)) for n in names}
    pairs = [
        (g, label)
        for g, label in zip(first, labels, strict=True)
        if g is not None and g.requires_grad
    ]
    contracted = sum((g * torch.from_numpy(outer[label])).sum() for g, label in pairs)
    second = torch.autograd.grad(contracted, variables, allow_unused=True)
    seeds: dict[int, Any] = {}
    for n in names:
        slot = second_code.names[f"d {n}"]
        seeds[slot] = seeds[slot] + outer[n] if slot in seeds else outer[n]
    given = {n: leaves[n] for n in second_code.inputs}
    again = eager_gradients(second_code, given, seeds)
    for label, g, variable in zip(labels, second, variables, strict=True):
        expected = torch.zeros_like(variable) if g is None else g
        found = again.get(label, np.zeros(variable.shape))
        close(found, expected.numpy(force=True), f"{name} second derivative in {label}", rtol * 100)
