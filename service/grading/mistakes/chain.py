"""The chain rule: upstream gradient times local gradient, and both are needed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from service.grading.mistakes._facts import EdgeFacts, WireFacts, Wrong

TEXTS = {
    "missing_upstream": "The gradient of '{wire}' has the local gradient of '{gate}' ({op}) in it, "
    "but not what comes from upstream: the chain rule multiplies the two.",
    "missing_local": "The upstream gradient went through '{gate}' ({op}) unchanged on its way to "
    "'{wire}'. Only an addition passes it on like that: the local gradient of {op} is missing.",
    "zero_gradient": "The gradient of '{wire}' is zero everywhere. Was it ever computed, or has a "
    "gate that lets it through been taken for one that stops it?",
}
WEIGHTS = {"missing_upstream": 8.0, "missing_local": 7.0, "zero_gradient": 2.0}


def on_edge(facts: EdgeFacts) -> Iterator[Wrong]:
    """The local gradient alone; the upstream gradient alone."""
    if not all(g is None or bool(np.all(g == 1.0)) for g in facts.upstream):
        ones = [None if g is None else np.ones(np.shape(g))[()] for g in facts.upstream]
        local = facts.pull(upstream=ones)
        if local is not None:
            yield Wrong("missing_upstream", "", local, "the local gradient alone")
    passed = facts.fit(facts.g) if len(facts.upstream) == 1 else None
    if facts.op == "mean":
        count = np.size(facts.x) / max(1, np.size(facts.y))
        passed = facts.part * count
    if passed is not None and np.shape(passed) == facts.shape:
        yield Wrong("missing_local", "", passed, "the upstream gradient alone")


def on_wire(facts: WireFacts) -> Iterator[Wrong]:
    """No gradient at all."""
    yield Wrong("zero_gradient", "", np.zeros(np.shape(facts.x))[()], "0")
