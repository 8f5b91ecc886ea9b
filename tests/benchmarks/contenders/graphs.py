"""Random scalar graphs, the same for every contender."""

import json
import random
from pathlib import Path
from typing import Any

GATES = {"add": 2, "mul": 2, "sub": 2, "tanh": 1, "sin": 1, "neg": 1}
LEAVES = 4


def recipe(size: int, kind: str) -> tuple[list[float], list[tuple[str, list[int]]]]:
    """Leaf values, then (gate, positions) of `size` nodes; deep ones read the last eight."""
    rng = random.Random(size)
    leaves = [rng.uniform(-1, 1) for _ in range(LEAVES)]
    steps = []
    for i in range(LEAVES, LEAVES + size):
        gate = rng.choice(list(GATES))
        low = 0 if kind == "wide" else max(0, i - 8)
        steps.append((gate, [rng.randrange(low, i) for _ in range(GATES[gate])]))
    return leaves, steps


def body(size: int) -> bytes:
    """A gradient request of a wide graph; kept in a file, since making it takes longest."""
    path = Path(f"build/bench-{size}.json")
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
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text)
    return text
