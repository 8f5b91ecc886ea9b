"""The code that `/v1/explain` answers, run as a student would run it: alone, with NumPy."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.engine.registry import Example, Operator
from tests.engine.drawing import GATES, draw, examples
from tests.routes.calling import Caller

RUNNER = """
import json, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
for line in sys.stdin:
    case = json.loads(line)
    scope, answer = {}, {}
    try:
        exec(case["code"], scope)
        for name in case["names"]:
            answer[name] = np.asarray(scope[name], float).tolist()
    except Exception as error:
        answer = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer))
"""
GRAPHS = 500


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    caller = Caller()
    yield caller
    caller.close()


def run_alone(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each piece of code leaves in its variables, in a process without the service."""
    process = subprocess.run(
        [sys.executable, "-I", "-c", RUNNER],
        input="\n".join(map(json.dumps, cases)),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return [json.loads(line) for line in process.stdout.splitlines()]


def plain(value: Any) -> Any:
    """A tensor as a client writes it: plain numbers for labels too."""
    return np.asarray(value).tolist()


def operator_request(op: Operator, example: Example) -> dict[str, Any]:
    """A graph of one operator whose outputs are squared and summed."""
    arrays = [np.asarray(x) for x in draw(op, example, seed=11)]
    names = [f"x{place}" for place in range(len(arrays))]
    nodes: list[dict[str, Any]] = [
        {"id": name, "op": "input", "value": plain(x)}
        for name, x in zip(names, arrays, strict=True)
    ]
    nodes.append({"id": "y", "op": op.name, "inputs": names, **plain_attrs(example)})
    outputs = ["y"] if op.outputs == 1 else ["y.0", "y.1"]
    for place, output in enumerate(outputs):
        nodes += [
            {"id": f"c{place}", "op": "cast", "inputs": [output], "dtype": "float64"},
            {"id": f"q{place}", "op": "square", "inputs": [f"c{place}"]},
            {"id": f"s{place}", "op": "sum", "inputs": [f"q{place}"]},
        ]
    sums = [f"s{place}" for place in range(len(outputs))]
    last = sums if len(sums) > 1 else [*sums, 0.0]
    nodes.append({"id": "total", "op": "add", "inputs": last})
    return {"graph": {"nodes": nodes, "output": "total"}}


def plain_attrs(example: Example) -> dict[str, Any]:
    return json.loads(json.dumps(dict(example.attrs)))  # type: ignore[no-any-return]


LINES = (
    "tanh({a} + {b})",
    "sin({a}) * {b}",
    "maximum({a}, {b})",
    "relu({a} - {b})",
    "where(~({a} > {b}), {a}, 2*{b})",
    "where(({a} > 0) & ({b} < 0.5), {a} / 2, {b})",
    "sigmoid({a}) ** 2",
    "({a}) / (2 + {b} ** 2)",
    "{a}[0] * {b}",
    "{a}[-1] + {b}[0]",
    "{a}[..., 1:] * 0.5",
    "{a}[1:, 0]",
    "softmax({a})",
    "logsumexp({a})",
    "mean({a}, axis=0) + {b}",
    "max({a}, axis=-1, keepdims=True) * {b}",
    "tanh({a} @ {b})",
    "tanh({a}.T @ {b})",
    "take({a}, i) + 1",
    "one_hot(i, classes=3) * 0.1",
    "tanh(cumsum({a}, axis=0))",
    "reshape({a}, -1)[:2]",
    "concatenate([{a}, {b}], axis=0)",
    "stack([{a}, {b}], axis=0)",
    "sum({a} * {a}, axis=-1)",
    "clip({a}, -0.5, 0.5)",
    "abs({a}) + exp(-{b})",
    "{a}[0]*{a}[1]",
)


def drawn_text(seed: int) -> dict[str, Any]:
    """A request whose graph is random source text; not every one is a good graph."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    shapes = [()] * 3 if rng.random() < 0.35 else [(3,), (2, 3), (3, 3), (3,), ()]
    inputs: dict[str, Any] = {
        name: plain(numbers.uniform(-1.5, 1.5, rng.choice(shapes))) for name in ("x", "y", "z")
    }
    inputs["i"] = plain(numbers.integers(0, 3, rng.choice([(), (2,), (3,)])))
    names, lines = ["x", "y", "z"], []
    for place in range(rng.randint(1, 6)):
        line = rng.choice(LINES).format(a=rng.choice(names[-4:]), b=rng.choice(names))
        names.append(f"n{place}")
        lines.append(f"n{place} = {line}")
    lines.append(f"total = sum({names[-1]} * {rng.choice(names[3:])})")
    text = "\n".join(lines)
    used = {name: value for name, value in inputs.items() if name in tokens(text)}
    return {"graph": {"expression": text}, "inputs": used}


def tokens(text: str) -> set[str]:
    """The names in a text."""
    marked = "".join(letter if letter.isalnum() else " " for letter in text)
    return set(marked.split())


def agree(
    call: Caller, requests: list[tuple[str, dict[str, Any]]], wanted: int | None = None
) -> None:
    """The emitted code of all requests against the service's values and gradients.

    Of requests that may be refused, the first `wanted` that are not.
    """
    cases: list[dict[str, Any]] = []
    truths: list[tuple[str, dict[str, Any]]] = []
    for name, request in requests:
        computed = call("POST", "/v1/gradient", json=request)
        if wanted is not None and computed.status_code == 422:
            continue
        assert computed.status_code == 200, (name, computed.text)
        explained = call("POST", "/v1/explain", json=request)
        assert explained.status_code == 200, (name, explained.text)
        answer = computed.json()
        truth = {"total": answer["value"]}
        truth |= {f"d{key}": value for key, value in answer["gradients"].items()}
        cases.append({"code": explained.json()["code"], "names": list(truth)})
        truths.append((name, truth))
        if len(cases) == wanted:
            break
    assert wanted is None or len(cases) == wanted
    faults = []
    for (name, truth), case, found in zip(truths, cases, run_alone(cases), strict=True):
        for key, expected in truth.items():
            value = found.get(key)
            if value is None or np.shape(value) != np.shape(expected):
                faults.append(f"{name} {key}: {found.get('raised', np.shape(value))}")
            elif not np.allclose(
                np.array(value, float), np.array(expected, float), 1e-8, 1e-10, equal_nan=True
            ):
                faults.append(f"{name} {key}: {value} is not {expected}\n{case['code']}")
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults[:10])


def test_every_operator_with_plain_numbers(call: Caller) -> None:
    requests = [
        (f"{op.name}-{number}", operator_request(op, example))
        for op in GATES
        for number, example in enumerate(examples(op))
    ]
    assert len(requests) > 250
    agree(call, requests)


def test_random_graphs(call: Caller) -> None:
    requests = ((f"graph {seed}", drawn_text(seed)) for seed in range(8 * GRAPHS))
    agree(call, list(requests), wanted=GRAPHS)


def code_of(call: Caller, text: str, **inputs: Any) -> str:
    answer = call("POST", "/v1/explain", json={"graph": {"expression": text}, "inputs": inputs})
    assert answer.status_code == 200, answer.text
    return answer.json()["code"]  # type: ignore[no-any-return]


def test_an_index_is_added_to_in_its_place(call: Caller) -> None:
    code = code_of(call, "x[0]*x[1]", x=[2, 3])
    assert "dx[0] += doutput * x[1]" in code
    assert "dx[1] += doutput * x[0]" in code
    assert "def " not in code
    assert len(code.splitlines()) < 15


def test_labels_are_written_as_integers(call: Caller) -> None:
    code = code_of(call, "cross_entropy(s, y)", s=[[1, 2, 3], [3, 2, 1]], y=[2, 0])
    assert "y = np.array([2, 0])" in code


def test_whole_numbers_that_are_no_places_stay_floating(call: Caller) -> None:
    code = code_of(call, "sum(take(x, y) * y)", x=[1, 2, 3], y=[2, 0])
    assert "y = np.array([2.0, 0.0])" in code
    assert "y.astype(int)" in code


def test_truth_values_are_turned_with_a_word(call: Caller) -> None:
    code = code_of(call, "where(~(x > 0), x, 2*x)", x=3)
    assert run_alone([{"code": code, "names": ["output", "dx"]}]) == [{"output": 6.0, "dx": 2.0}]
