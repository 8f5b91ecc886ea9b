"""The client against a running service, and the examples that users start from."""

from __future__ import annotations

import asyncio
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradient_client import (
    AsyncClient,
    Client,
    InvalidRequest,
    NotFound,
    TooLarge,
    Var,
    constant,
    expression,
    ops,
)

from tests.serving import ROOT, Server, serving

EXAMPLES = ROOT / "examples" / "clients"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("client"), max_nodes="50000") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as made:
        yield made


def test_the_notes_circuit(client: Client) -> None:
    x, y, z = Var("x"), Var("y"), Var("z")
    answer = client.gradient((x + y) * z, {"x": -2, "y": 5, "z": -4})
    assert answer.value == -12.0
    assert answer.gradients == {"x": -4.0, "y": -4.0, "z": 3.0}


def test_arrays_in_and_out_bit_for_bit(client: Client) -> None:
    rng = np.random.default_rng(0)
    W, x = rng.normal(size=(4, 3)), rng.normal(size=(3, 5))
    answer = client.gradient((Var("W") @ Var("x")).sum(), {"W": W, "x": x}, values=True)
    np.testing.assert_array_equal(answer.gradients["x"], W.T @ np.ones((4, 5)))
    np.testing.assert_array_equal(answer.values["W"], W)


def test_indices_and_constants_in_a_graph(client: Client) -> None:
    x = Var("x")
    weights = constant(np.array([1.0, 10.0, 100.0]))
    graph = (x[1:, ::-1] * weights).sum() + x[0, 0] ** 2 - x[-1][[0, 2]].sum()
    array = np.arange(6.0).reshape(2, 3)
    answer = client.gradient(graph, {"x": array})
    want = (array[1:, ::-1] * [1, 10, 100]).sum() + array[0, 0] ** 2 - array[-1][[0, 2]].sum()
    assert answer.value == want
    np.testing.assert_array_equal(answer.gradients["x"], [[0, 0, 0], [99, 10, 0]])


def test_further_outputs_and_non_finite_numbers(client: Client) -> None:
    parts = ops.split(Var("x"), sections=2).named("s")
    graph = (parts.output(0) * 2 + ops.log(parts.output(1))).named("f")
    answer = client.forward(graph, {"x": np.array([1.0, 2.0, 0.0, np.inf])})
    np.testing.assert_array_equal(answer.outputs["f"], [-np.inf, np.inf])
    assert answer.warnings[0]["kind"] == "value"


def test_every_mode_of_differentiating(client: Client) -> None:
    x, y = Var("x"), Var("y")
    f = (x**2 * y).named("f")
    point = {"x": 3.0, "y": 2.0}
    assert client.vjp(f, point, {"f": 2.0}).gradients == {"x": 24.0, "y": 18.0}
    assert client.jvp(f, point, {"x": 1.0, "y": 1.0}).tangents == {"f": 21.0}
    assert client.jacobian(f, point).jacobian == {"f": {"x": 12.0, "y": 9.0}}
    hessian = client.hessian(f, point).hessian
    assert hessian == {"x": {"x": 4.0, "y": 6.0}, "y": {"x": 6.0, "y": 0.0}}
    assert client.hvp(f, point, {"x": 1.0, "y": 0.0}).hvp == {"x": 4.0, "y": 6.0}
    points = {"x": np.array([1.0, 2.0]), "y": 2.0}
    answer = client.gradient(f, points, batch=["x"], reduce="sum")
    np.testing.assert_array_equal(answer.gradients["x"], [4.0, 8.0])
    assert answer.gradients["y"] == 5.0
    derived = client.gradient_graph(f, point)
    assert client.forward(derived.graph, point).outputs[derived.gradients["x"]] == 12.0


def test_the_service_says_which_node_is_wrong(client: Client) -> None:
    product = (Var("W") @ Var("x")).named("D")
    with pytest.raises(InvalidRequest) as caught:
        client.gradient(product.sum(), {"W": np.ones((5, 10)), "x": np.ones((3, 10))})
    error = caught.value
    assert (error.code, error.node, error.op) == ("shape_mismatch", "D", "matmul")
    assert error.faults[0].shapes == ((5, 10), (3, 10))
    with pytest.raises(InvalidRequest) as caught:
        client.forward(expression("x +"), {"x": 1})
    assert caught.value.faults[0].line == 1


def test_a_limit_is_named(client: Client) -> None:
    x = Var("x")
    y = x
    for _ in range(60_000):
        y = y + x
    with pytest.raises(TooLarge) as caught:
        client.forward(y, {"x": 1.0})
    assert caught.value.limit == "nodes"


def test_registered_graphs(client: Client) -> None:
    kept = client.register(expression("a * b"), "product")
    assert kept.names == ("product",)
    assert client.forward(kept, {"a": 2, "b": 3}).outputs == {"output": 6.0}
    assert client.forward("product", {"a": 2, "b": 3}).outputs == {"output": 6.0}
    assert client.registered("product").graph == {"expression": "a * b"}
    assert kept.id in {graph.id for graph in client.graphs()}
    client.delete_graph("product")
    with pytest.raises(NotFound) as caught:
        client.registered("product")
    assert caught.value.code == "graph_not_found"


def test_the_catalogue(client: Client) -> None:
    assert client.operator("mul")["name"] == "multiply"
    assert "operators" in client.operators()


def test_analysis_and_check(client: Client) -> None:
    f = ops.sigmoid(Var("x")).sum()
    assert client.analyze(f, shapes={"x": [3]})
    assert client.check(f, {"x": np.ones(3)})["passed"]


def test_pictures_and_explanations(client: Client) -> None:
    f = (Var("x") + Var("y")) * Var("z")
    point = {"x": -2, "y": 5, "z": -4}
    assert "<svg" in client.diagram(f, point)
    assert "graph" in client.diagram(f, point, format="dot")
    assert "backward" in client.explain(f, point)


def test_grading(client: Client) -> None:
    f = ((Var("x") + Var("y")) * Var("z")).named("f")
    point = {"x": -2, "y": 5, "z": -4}
    right = {"gradients": {"x": -4.0, "y": np.float64(-4), "z": 3}}
    made = client.grade(right, graph=f, inputs=point)
    assert made["score"] == made["max_score"] > 0
    wrong = {"gradients": {"x": 4.0, "y": -4.0, "z": 3.0}}
    made = client.grade(wrong, graph=f, inputs=point, reveal="verdict")
    assert made["score"] < made["max_score"]


def test_many_calls_at_once_from_asyncio(server: Server) -> None:
    async def run() -> list[float]:
        async with AsyncClient(server.url) as client:
            graph = Var("x") ** 2
            answers = await asyncio.gather(
                *(client.gradient(graph, {"x": float(i)}) for i in range(20))
            )
            page = [graph async for graph in client.graphs()]
            assert isinstance(page, list)
            return [answer.gradients["x"] for answer in answers]

    assert asyncio.run(run()) == [2.0 * i for i in range(20)]


def run(command: list[str]) -> str:
    """What an example prints; its failure is the test's."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_scipy_example(server: Server) -> None:
    pytest.importorskip("scipy")
    printed = run([sys.executable, str(EXAMPLES / "scipy_minimize.py"), server.url])
    assert "minimum" in printed


@pytest.mark.oracle
def test_the_torch_example(server: Server) -> None:
    pytest.importorskip("torch")
    assert "dW" in run([sys.executable, str(EXAMPLES / "torch_function.py"), server.url])


@pytest.mark.oracle
def test_the_jax_example(server: Server) -> None:
    pytest.importorskip("jax")
    assert "dW" in run([sys.executable, str(EXAMPLES / "jax_function.py"), server.url])


def test_the_javascript_example(server: Server) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    printed = run([node, str(EXAMPLES / "gradient.mjs"), server.url]).splitlines()
    assert printed[0] == "-12 { x: -4, y: -4, z: 3 }"
    assert printed[1] == "y = 1.96 t + 1.06"
    assert "node" in printed[2]


def asking(server: Server, name: str, folder: Path) -> str:
    """A copy of an example that asks this server."""
    script = folder / name
    script.write_text((EXAMPLES / name).read_text().replace("http://127.0.0.1:8000", server.url))
    return str(script)


def test_the_r_example(server: Server, tmp_path: Path) -> None:
    r = shutil.which("Rscript")
    if r is None or subprocess.run([r, "-e", "library(httr2)"], capture_output=True).returncode:
        pytest.skip("R with the package httr2 is not installed")
    printed = run([r, asking(server, "gradient.R", tmp_path)])
    assert re.findall(r"\$ (\w): \w+ (-?\d+)", printed) == [("x", "-4"), ("y", "-4"), ("z", "3")]
    least = [float(number) for number in printed.splitlines()[-1].split()[1:]]
    assert least == pytest.approx([1, 1], abs=1e-3)


@pytest.mark.oracle
def test_the_julia_example(server: Server, tmp_path: Path) -> None:
    """With HTTP.jl and JSON3.jl where they are installed, else with what stands in for them."""
    julia = shutil.which("julia") or str(ROOT / ".oracles" / "julia" / "julia")
    if not Path(julia).exists():
        pytest.skip("Julia is not installed")
    stand_in = Path(__file__).parent / "julia"
    path = f"JULIA_LOAD_PATH=@:@v#.#:@stdlib:{stand_in}"
    printed = run(["env", path, julia, asking(server, "gradient.jl", tmp_path)]).splitlines()
    assert re.findall(r"-?\d+", printed[0]) == ["-12", "0", "-4", "0", "-4", "0", "3", "0"]
    slopes = [float(number) for number in re.findall(r"-?[\d.]+", printed[1])]
    points = [i / 10 for i in range(11)]
    assert slopes == pytest.approx([math.cos(x) * math.exp(math.sin(x)) for x in points])
