"""A libFuzzer target (atheris): bytes into the reading of requests, or into the parser.

    python -m tests.fuzz.bytes_target (requests|expressions) CORPUS -max_total_time=30

Ends with a crash where anything is raised that isn't a refusal. Prints the resident memory
now and then, for the test to watch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["service.wire", "service.engine", "service.routes"]):
    from service.app import operations
    from service.engine.control import Limits
    from service.engine.errors import EngineError
    from service.engine.expression import parse_expression
    from service.engine.graph import resolve
    from service.errors import problem
    from service.wire.context import Context

LIMITS = Limits(elements_per_tensor=100_000, elements_total=1_000_000, nodes=10_000)
EVERY = 2_000
_calls = 0


def counted() -> None:
    """Every so often a line with the memory."""
    global _calls
    _calls += 1
    if _calls % EVERY == 0:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        print(f"\nMEMORY {pages * 4096}", file=sys.stderr, flush=True)


OPERATIONS = [operation for _, operation in sorted(operations().items())]
CONTEXT = Context(limits=LIMITS)


def request(data: bytes) -> None:
    """The first byte chooses the endpoint, the others are the body: read, not run."""
    counted()
    if not data:
        return
    operation = OPERATIONS[data[0] % len(OPERATIONS)]
    try:
        operation.parse(data[1:], CONTEXT, True)
    except Exception as error:
        if problem(error).status >= 500:
            raise


def expression(data: bytes) -> None:
    """Source text: parsed and resolved, or refused as the engine refuses."""
    counted()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    try:
        resolve(parse_expression(text), LIMITS)
    except EngineError:
        return


def seeds(folder: Path, what: str) -> None:
    """Something to begin with: the examples of the OpenAPI document."""
    examples = Path(__file__).resolve().parents[2] / "openapi" / "examples"
    for number, file in enumerate(sorted(examples.glob("*.request.json"))):
        body = file.read_bytes()
        if what == "requests":
            compact = json.dumps(json.loads(body), separators=(",", ":")).encode()
            (folder / file.stem).write_bytes(bytes([number % len(OPERATIONS)]) + compact)
        else:
            graph = json.loads(body).get("graph")
            if isinstance(graph, dict) and "expression" in graph:
                (folder / file.stem).write_text(graph["expression"], "utf-8")


if __name__ == "__main__":
    what, corpus = sys.argv.pop(1), Path(sys.argv[1])
    seeds(corpus, what)
    atheris.Setup(sys.argv, request if what == "requests" else expression)
    atheris.Fuzz()
