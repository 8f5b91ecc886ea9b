"""Random scalar graphs, the same for every contender."""

import json
import random
from pathlib import Path
from typing import Any

GATES = {"add": 2, "mul": 2, "sub": 2, "tanh": 1, "sin": 1, "neg": 1}
LEAVES = 4
Steps = list[tuple[str, list[int]]]


GATE_SETS = {
    "smooth": {"add": 2, "mul": 2, "cos": 1},
    "gates": {"add": 2, "mul": 2, "maximum": 2, "tanh": 1, "sigmoid": 1},
}


def drawn(size: int, kind: str, gates: str) -> tuple[list[float], Steps]:
    """`recipe` with one of the sets of gates; deep ones so that no gradient vanishes or grows.

    Those are a sum that goes on and on, of gates of one input that are applied in a row; what
    it is multiplied by are leaves near 1.
    """
    if kind == "wide":
        return recipe(size, kind, GATE_SETS[gates])
    rng = random.Random(size)
    total, term, steps = 0, 1, []
    while len(steps) < size - 1:
        gate, arity = rng.choice(list(GATE_SETS[gates].items()))
        other = rng.randrange(LEAVES) if gate == "mul" else term
        steps.append((gate, [total, other] if arity == 2 else [term]))
        if arity == 2:
            total = LEAVES + len(steps) - 1
        else:
            term = LEAVES + len(steps) - 1
    steps.append(("add", [total, term]))
    return [rng.uniform(0.999, 1.001) for _ in range(LEAVES)], steps


def recipe(size: int, kind: str, gates: dict[str, int] = GATES) -> tuple[list[float], Steps]:
    """Leaf values, then (gate, positions) of about `size` nodes; deep ones read the last eight.

    What no node reads is added up, pair by pair, so that the output, which is the last node,
    depends on every node: otherwise most of the backward pass would have nothing to do.
    """
    rng = random.Random(size)
    leaves = [rng.uniform(-1, 1) for _ in range(LEAVES)]
    steps: Steps = []
    unread = list(range(LEAVES))
    read = bytearray(LEAVES + size)
    sinks = LEAVES
    while len(steps) + sinks - 1 < size:
        position = LEAVES + len(steps)
        gate = rng.choice(list(gates))
        low = 0 if kind == "wide" else max(0, position - 8)
        sources = [rng.randrange(low, position) for _ in range(gates[gate])]
        for source in set(sources):
            sinks -= not read[source]
            read[source] = 1
        sinks += 1
        steps.append((gate, sources))
    unread = [i for i in range(LEAVES + len(steps)) if not read[i]]
    while len(unread) > 1:
        pairs = list(zip(unread[::2], unread[1::2], strict=False))
        left = unread[-1:] if len(unread) % 2 else []
        unread = list(range(LEAVES + len(steps), LEAVES + len(steps) + len(pairs))) + left
        steps += [("add", list(pair)) for pair in pairs]
    return leaves, steps


def body(size: int) -> bytes:
    """A gradient request of a wide graph; kept in a file, since making it takes longest."""
    path = Path(f"build/bench/wide-{size}.json")
    if path.exists():
        return path.read_bytes()
    leaves, steps = recipe(size, "wide")
    nodes: list[dict[str, Any]] = [
        {"id": f"n{i}", "op": "input", "value": value} for i, value in enumerate(leaves)
    ]
    nodes += [
        {"id": f"n{i}", "op": gate, "inputs": [f"n{j}" for j in sources]}
        for i, (gate, sources) in enumerate(steps, LEAVES)
    ]
    graph = {"nodes": nodes, "output": nodes[-1]["id"]}
    text = json.dumps({"graph": graph, "values": "output"}, separators=(",", ":")).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return text
