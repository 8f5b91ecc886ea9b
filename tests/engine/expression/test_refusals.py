"""A refusal says what to write instead, and what it says can be read."""

from __future__ import annotations

import difflib
import re

import numpy as np
import pytest

from service.engine.errors import Fault, GraphError
from service.engine.expression import hints, parse_expression
from service.engine.graph import resolve
from service.engine.numpy_compat import CATALOGUED, SPELLED
from service.engine.program import program_for

VALUES = {
    "x": np.array([1.0, 2.0, 3.0]),
    "y": 2.0,
    "a": 1.0,
    "b": 2.0,
    "condition": True,
    "A": np.eye(3),
    "z": 1.0,
    "mask": np.array([True, False, True]),
    "n": 3.0,
    "xs": np.ones(3),
    "logits": np.ones((3, 3)),
    "labels": np.array([0, 1, 2]),
}
"""What the names in texts and hints stand for."""


def _faults(text: str) -> list[Fault]:
    try:
        graph = resolve(parse_expression(text))
        program_for(graph, {n: v for n, v in VALUES.items() if n in graph.inputs}, "float64")
    except GraphError as error:
        return error.faults
    pytest.fail(f"{text} is read")


LIBRARIES = {
    "torch.exp(x)": "exp",
    "torch.sum(x, dim=0)": "sum",
    "torch.tensor([1.0])": "np.array",
    "F.relu(x)": "relu",
    "F.softmax(x, dim=0)": "softmax",
    "torch.nn.functional.gelu(x)": "gelu",
    "jnp.tanh(x)": "tanh",
    "jax.nn.relu(x)": "relu",
    "jnp.linalg.norm(x)": "norm",
    "lax.exp(x)": "exp",
    "tf.math.log(x)": "log",
    "tf.reduce_sum(x)": "sum",
    "tf.nn.softmax(x)": "softmax",
    "keras.activations.relu(x)": "relu",
    "cp.exp(x)": "exp",
    "scipy.special.erf(x)": "erf",
    "scipy.special.expit(x)": "sigmoid",
    "sympy.exp(x)": "exp",
    "special.logsumexp(x)": "logsumexp",
    "cmath.exp(x)": "exp",
    "Math.exp(x)": "exp",
    "nn.ReLU()(x)": "relu",
    "agnp.tanh(x)": "tanh",
    "tl.exp(x)": "exp",
    "lib.tanh(x)": "tanh",
}


@pytest.mark.parametrize(("text", "ours"), LIBRARIES.items())
def test_another_librarys_name_says_which_spelling_is_read(text: str, ours: str) -> None:
    hint = _faults(text)[0].hint or ""
    assert re.search(rf"\b{re.escape(ours)}\(", hint), hint


HABITS = {
    "ln(x)": r"log\(x\)",
    "x ^ 2": r"x \*\* 2",
    "2x": r"2 \* x",
    "2 x": r"2 \* x",
    "2(x + 1)": r"2 \*",
    "y(x + 1)": r"y \*",
    "x²": r"\*\*2",
    "x³": r"\*\*3",
    "x × y": r"\*",
    "x·y": r"\*",
    "x ⋅ y": r"\*",
    "x − 1": "-",
    "x ÷ 2": "/",
    "√x": "sqrt",
    "x ≤ y": "<=",
    "x ≠ y": "!=",
    "∑x": "sum",
    "A'": r"x\.T",
    "x.^2": "dot",
    "x .* y": "dot",
    "x && y": "&",
    "x || y": r"\|",
    "|x|": r"abs\(x\)",
    "!mask": "~x",
    "x <> y": "!=",
    "x++": r"x \+= 1",
    "x > 0 ? x : 0": "if condition else",
    "if y > 0 then y else 1": "if condition else",
    "f(x) = x ** 2": "body",
    "sin x": r"sin\(x\)",
    "x y": r"x \* y",
    "A \\ x": "solve",
    "x₁": "x_1",
    "x\u200b + 1": "nobody sees",
    "x → y": "y = x",
    "x <- 3 y": "y = x",
    "np.Pi": r"np\.pi",
    "math.PI * x": r"np\.pi",
    "pi * x": r"np\.pi",
    "π * x": r"np\.pi",
    "e ** x": r"np\.e",
    "inf": r"np\.inf",
    "sum(x, dim=0)": "axis=",
    "x.sum(dim=0)": "axis=",
    "x.mean(keepdim=True)": "keepdims=",
    "def f(x): return x": "body",
    "def f(x):\n    return x * 2\n": "body",
    "lambda x: x": "body",
    "while y > 0: y = 1": "range",
    "[a * a for a in x]": "loop",
    "sum(a * a for a in x)": "loop",
    "print(x)": "leave it out",
    "return x": "leave",
    "import torch": "leave it out",
    "from math import exp": "leave it out",
    "x.grad": "in the answer",
    "x.backward()": "in the answer",
    "x.view(-1)": "reshape",
    "x.t()": r"x\.T",
    "x.size(0)": r"x\.size",
    "x[x > 0]": r"where\(",
    "np.random.randn(3)": "input",
    "x is y": "==",
    "y in x": "==",
    "{'a': x}": "name of its own",
    "1j * x": "real",
    "'x'": "quotation marks",
    "f'{x}'": "quotation marks",
    "x = 3 +": "ends",
    "(x": "closed",
    "x)": "closed",
    "# nothing": "write one",
    "x\ny": "name",
    "a; b": "name",
    "np.linalg.eig(A)": "eigh",
    "svd(A)": "unpack",
    "np.linalg.slogdet(A)": "unpack",
    "np.linalg.svd(np.ones((3, 2)))[0]": "full_matrices=False",
    "del x": "leave it out",
    "class A: pass": "body",
    "assert y": "leave it out",
    "x & y": r"\(a > 0\) & \(b > 0\)",
    "sin^2(x)": "star",
    "global x": "leave it out",
    "np.nonzero(x)": "where",
    "sum(x, axis=y)": "known",
    "softmax(x, dim=-1)": "axis=",
}


@pytest.mark.parametrize(("text", "told"), HABITS.items())
def test_a_habit_from_elsewhere_is_told_what_is_read(text: str, told: str) -> None:
    fault = _faults(text)[0]
    assert re.search(told, fault.hint or ""), f"{fault.detail}: {fault.hint}"
    assert not re.search("dict", f"{fault.detail} {fault.hint}")


MISSPELLED = {
    "sigmod": "sigmoid",
    "softmx": "softmax",
    "tanhh": "tanh",
    "expp": "exp",
    "sqrtt": "sqrt",
    "maximun": "maximum",
    "reul": None,
    "logsumxp": "logsumexp",
}


@pytest.mark.parametrize(("name", "meant"), MISSPELLED.items())
def test_a_suggestion_is_near(name: str, meant: str | None) -> None:
    assert hints.suggestion(name) == meant


@pytest.mark.parametrize("name", ["print", "int", "len", "input", "open", "foo", "qq", "zip"])
def test_nothing_is_suggested_for_what_means_something_else(name: str) -> None:
    hint = hints.of_function(name, ()) or ""
    assert "did you mean" not in hint


def test_what_is_suggested_can_be_called_and_is_near_in_letters() -> None:
    callable_names = set(CATALOGUED) | set(SPELLED)
    for name in sorted(callable_names):
        if "." in name or len(name) < 4:
            continue
        for wrong in (name[:-1], name + name[-1], name[0] + name[2] + name[1] + name[3:]):
            near = hints.suggestion(wrong)
            assert near is None or near in callable_names
            if near is not None:
                assert difflib.SequenceMatcher(None, near, wrong).ratio() >= 0.75


CODE = re.compile(
    r"(?:^|write |or |; )((?:[\w.]+\([^…]*?\)|[\w]+ [-+*/@%<>=!&|~]+ .+|1 / \w+\(x\))"
    r"(?: [<>] [\d.e-]+)?)(?=$|, |;|:| for | alone)"
)


def test_what_a_hint_proposes_is_itself_read() -> None:
    tables = [hints.HINTS, hints._FUNCTIONS, hints._ATTRIBUTES, hints.STRANGERS]
    proposed = [
        code
        for table in tables
        for hint in table.values()
        if hint
        for code in CODE.findall(hint)
        if "…" not in code
    ]
    assert len(proposed) > 20
    for code in proposed:
        try:
            resolve(parse_expression(code))
        except GraphError as error:
            pytest.fail(f"'{code}' is proposed and not read: {error}")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("x = 1\ny = foo(x)", 2, 5),
        ("x = 1\n\n\ny = x +* 2", 4, 8),
        ("for i in range(3):\n    y = bar(x)\ny", 2, 9),
        ("α = 1\nβ = α * baz(α)", 2, 9),
        ("h = x\nh = h * 2\nh = h.quux()", 3, 5),
    ],
)
def test_a_fault_says_where(text: str, line: int, column: int) -> None:
    assert (_faults(text)[0].line, _faults(text)[0].column) == (line, column)
