"""NumPy's functions on a Var: the service's numbers are NumPy's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from gradient_client import Client, Var, graph

from tests.serving import Server, serving

RNG = np.random.default_rng(7)
M = RNG.uniform(0.2, 0.9, (4, 4)) + 3 * np.eye(4)
A = RNG.uniform(0.2, 0.9, (3, 4))
V = RNG.uniform(0.2, 0.9, 4)
C = RNG.uniform(0.2, 0.9, (2, 3, 4))

UFUNCS = """
exp exp2 expm1 log log2 log10 log1p sqrt square reciprocal sin cos tan arcsin arccos arctan
sinh cosh tanh arcsinh arctanh absolute fabs negative positive sign floor ceil rint
"""
BINARY = "add subtract multiply divide true_divide power remainder mod maximum minimum"
COMPARISONS = "less less_equal greater greater_equal equal not_equal"
CALLS: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("sum", np.sum, A),
    ("sum of an axis", lambda x: np.sum(x, axis=0), A),
    ("sum by position", lambda x: np.sum(x, 1, keepdims=True), A),
    ("method of a reduction", lambda x: np.add.reduce(x), A),
    ("reduce an axis", lambda x: np.maximum.reduce(x, axis=1), A),
    ("mean", lambda x: np.mean(x, axis=(0, 1)), C),
    ("max", lambda x: np.max(x, axis=-1), C),
    ("amin", lambda x: np.amin(x), C),
    ("prod", lambda x: np.prod(x, axis=1), C),
    ("var", np.var, A),
    ("var of a sample", lambda x: np.var(x, 0, ddof=1), A),
    ("std", lambda x: np.std(x, axis=1, correction=1), A),
    ("cumsum", lambda x: np.cumsum(x, axis=1), A),
    ("cumsum of all", np.cumsum, A),
    ("cumprod of all", np.cumprod, A),
    ("where", lambda x: np.where(x > 0.5, x, 2.0), A),
    ("where with an array", lambda x: np.where(A > 0.5, x, x * x), A),
    ("clip", lambda x: np.clip(x, 0.3, 0.6), A),
    ("clip on one side", lambda x: np.clip(x, None, 0.6), A),
    ("clip by name", lambda x: np.clip(x, min=0.4), A),
    ("clip by an array", lambda x: np.clip(x, V, 0.8), A),
    ("concatenate", lambda x: np.concatenate([x, A * 2, x], axis=1), A),
    ("concatenate flat", lambda x: np.concatenate([x, x], axis=None), A),
    ("stack", lambda x: np.stack([x, x + 1], axis=1), A),
    ("reshape", lambda x: np.reshape(x, (2, -1)), A),
    ("ravel", np.ravel, A),
    ("transpose with axes", lambda x: np.transpose(x, (2, 0, 1)), C),
    ("matrix_transpose", np.matrix_transpose, C),
    ("expand_dims", lambda x: np.expand_dims(x, 1), A),
    ("squeeze", lambda x: np.squeeze(np.expand_dims(x, 1), axis=1), A),
    ("broadcast_to", lambda x: np.broadcast_to(x, (3, 4)), V),
    ("flip", lambda x: np.flip(x, 1), A),
    ("moveaxis", lambda x: np.moveaxis(x, 0, 2), C),
    ("repeat", lambda x: np.repeat(x, 2), A),
    ("repeat along", lambda x: np.repeat(x, 2, axis=1), A),
    ("take", lambda x: np.take(x, [0, 3, 1], axis=1), A),
    ("take of all", lambda x: np.take(x, [0, 7, 5]), A),
    ("tril", np.tril, M),
    ("triu", lambda x: np.triu(x, k=1), M),
    ("matmul", lambda x: np.matmul(A, x), M),
    ("array @ x", lambda x: A @ x, M),
    ("array * x", lambda x: V * x, A),
    ("scalar - x", lambda x: np.float64(2.0) - x, A),
    ("x / array", lambda x: x / V, A),
    ("dot", lambda x: np.dot(A, x), V),
    ("dot of matrices", lambda x: np.dot(x, M), A),
    ("outer", lambda x: np.outer(x, V), V),
    ("tensordot", lambda x: np.tensordot(x, A, axes=([1, 2], [0, 1])), C),
    ("tensordot of a number", lambda x: np.tensordot(x, M, axes=1), C),
    ("einsum", lambda x: np.einsum("ij,jk->ki", x, M), A),
    ("det", np.linalg.det, M),
    ("inv", np.linalg.inv, M),
    ("solve", lambda x: np.linalg.solve(x, V), M),
    ("cholesky", lambda x: np.linalg.cholesky(x @ x.T), M),
    ("norm", np.linalg.norm, A),
    ("norm along", lambda x: np.linalg.norm(x, ord=1, axis=1, keepdims=True), A),
    ("slogdet", lambda x: np.linalg.slogdet(x)[1], M),
    ("svd", lambda x: np.linalg.svd(x, full_matrices=False)[1], A),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server: Server
    with serving(tmp_path_factory.mktemp("numpy")) as server, Client(server.url) as made:
        yield made


def compared(client: Client, call: Callable[[Any], Any], given: Any) -> None:
    made = call(Var("x"))
    assert isinstance(made, Var)
    # A node for the output alone: an output of several has no name of its own.
    found = client.forward((made + 0.0).named("f"), {"x": given}).outputs["f"]
    wanted = np.asarray(call(given), np.float64)
    assert np.shape(found) == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", UFUNCS.split())
def test_elementwise(client: Client, name: str) -> None:
    compared(client, getattr(np, name), A)


@pytest.mark.parametrize("name", BINARY.split())
def test_of_two(client: Client, name: str) -> None:
    function = getattr(np, name)
    compared(client, lambda x: function(x, V), A)
    compared(client, lambda x: function(V, x), A)


@pytest.mark.parametrize("name", COMPARISONS.split())
def test_comparisons(client: Client, name: str) -> None:
    function = getattr(np, name)
    compared(client, lambda x: np.where(function(x, V), x, 2 * x), A)
    compared(client, lambda x: np.where(function(V, x), x, 2 * x), A)


@pytest.mark.parametrize(("call", "given"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
def test_functions(client: Client, call: Callable[[Any], Any], given: Any) -> None:
    compared(client, call, given)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.sort(x),
        lambda x: np.sum(x, out=np.zeros(3)),
        lambda x: np.sum(x, where=A > 0),
        lambda x: np.exp(x, where=A > 0),
        lambda x: np.add.accumulate(x),
        lambda x: np.where(x > 0),
        lambda x: np.transpose(x),
        lambda x: np.linalg.svd(x),
        lambda x: np.linalg.norm(x, ord=2),
        lambda x: np.dot(C, x),
        lambda x: np.asarray(x),
        lambda x: float(x),
    ],
)
def test_what_would_mean_something_else_is_refused(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        call(Var("x"))


@pytest.mark.parametrize(
    "key",
    [
        np.array([True, False]),
        [True, False],
        (slice(None), np.array([True, False])),
        True,
        np.array([0.5]),
        ["a"],
    ],
)
def test_masks_and_what_is_no_index_are_refused(key: Any) -> None:
    with pytest.raises(IndexError):
        Var("x")[key]


def test_whole_numbers_in_lists_are_floats(client: Client) -> None:
    answer = client.gradient(np.sum(Var("x") * [1, 2, 3]), {"x": [4, 5, 6]})
    assert answer.value == 32.0
    np.testing.assert_array_equal(answer.gradients["x"], [1.0, 2.0, 3.0])
    with pytest.raises(OverflowError):
        client.gradient(Var("x").sum(), {"x": [2**53 + 1, 0]})
    with pytest.raises(OverflowError):
        graph(Var("x") * np.array([2**64 - 1], np.uint64))


def test_labels_may_be_lists_or_arrays(client: Client) -> None:
    for labels in ([0, 2], np.array([0, 2]), np.array([0, 2], np.uint8)):
        source = "cross_entropy(s, y)"
        answer = client.gradient(source, {"s": np.eye(2, 3), "y": labels}, wrt=["s"])
        assert np.shape(answer.gradients["s"]) == (2, 3)


def test_single_precision_stays(client: Client) -> None:
    x = A.astype(np.float32)
    answer = client.gradient(np.sum(Var("x") * 0.1), {"x": x})
    assert answer.gradients["x"].dtype == np.float32
    both = client.gradient(np.sum(Var("x") * Var("y")), {"x": x, "y": A})
    assert both.gradients["x"].dtype == np.float64
    double = client.gradient(np.sum(Var("x") * 0.1), {"x": x}, dtype="float64")
    assert double.gradients["x"].dtype == np.float64


def test_source_text_stands_for_a_graph(client: Client) -> None:
    assert client.gradient("x*y", {"x": 2, "y": 3}).gradients == {"x": 3.0, "y": 2.0}
    assert client.gradient("f = x\n", {"x": 2}).value == 2.0


def test_a_notebook_shows_answers_and_circuits(client: Client) -> None:
    answer = client.gradient("x*y", {"x": 2, "y": [[1.0, 2.0]]}, cotangent=[[1.0, 1.0]])
    shown = answer._repr_html_()
    assert "<table>" in shown
    assert "[[2. 2.]]" in shown
    svg = client.diagram("x*y", {"x": 2, "y": 3})
    assert svg._repr_svg_() == svg
    assert client.diagram("x*y", {"x": 2, "y": 3}, format="dot")._repr_svg_() is None


def test_grading_tasks_from_the_client(client: Client) -> None:
    task = {"graph": "f = x * y", "inputs": {"x": 2, "y": np.float64(3)}, "reveal": "verdict"}
    kept = client.register_task(task)
    graded = client.grade({"gradients": {"x": 3, "y": 2}}, task=kept["id"])
    assert graded["score"] == graded["max_score"]
    several = [{"id": "a", "gradients": {"x": 3, "y": 2}}, {"id": "b", "gradients": {"x": 1}}]
    results = client.grade_batch(several, task=kept["id"])
    assert [result["submission"] for result in results] == ["a", "b"]
    assert results[0]["score"] > results[1]["score"]
    client.delete_task(kept["id"])
