"""Drives a running service with the real clients `tesseract_core` and `tesseract_jax`.

Run with the URL of a service on which `circuit` and `layer` are registered, by a Python in
which these packages are installed; they don't always go with the service's own versions.
"""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
from tesseract_core import Tesseract
from tesseract_jax import apply_tesseract

URL = sys.argv[1]


def refusal(tesseract, inputs) -> str:
    """What the client says when the service refuses these inputs."""
    try:
        tesseract.apply(inputs)
    except ValueError as refused:
        return str(refused)
    raise AssertionError("a wrong input was taken")


def core() -> None:
    circuit = Tesseract.from_url(f"{URL}/tesseract/circuit")
    assert circuit.health() == {"status": "ok"}
    assert set(circuit.available_endpoints) == {
        "apply",
        "jacobian",
        "jacobian_vector_product",
        "vector_jacobian_product",
        "health",
        "abstract_eval",
    }
    point = {"x": -2.0, "y": 5.0, "z": -4.0}
    value = circuit.apply(point)["f"]
    assert value == -12.0, value
    assert value.shape == (), value.shape
    pulled = circuit.vector_jacobian_product(point, ["x", "y", "z"], ["f"], {"f": 1.0})
    assert {k: float(v) for k, v in pulled.items()} == {"x": -4.0, "y": -4.0, "z": 3.0}
    pushed = circuit.jacobian_vector_product(point, ["x", "z"], ["f"], {"x": 1.0, "z": 2.0})
    assert float(pushed["f"]) == 2.0
    whole = circuit.jacobian(point, ["z"], ["f"])
    assert float(whole["f"]["z"]) == 3.0
    for output_format in ("json", "json+base64"):
        view = circuit.with_encoding(output_format=output_format, compression="none")
        assert float(view.apply(point)["f"]) == -12.0

    rng = np.random.default_rng(3)
    inputs = {"W": rng.normal(size=(4, 3)), "x": rng.normal(size=3), "b": rng.normal(size=4)}
    layer = Tesseract.from_url(f"{URL}/tesseract/layer")
    wanted = np.tanh(inputs["W"] @ inputs["x"] + inputs["b"])
    np.testing.assert_allclose(layer.apply(inputs)["h"], wanted, rtol=1e-14)
    jacobian = layer.jacobian(inputs, ["W", "x"], ["h"])["h"]
    slope = 1 - wanted**2
    np.testing.assert_allclose(jacobian["x"], slope[:, None] * inputs["W"], rtol=1e-12)
    assert jacobian["W"].shape == (4, 4, 3)
    for bad in ({"W": np.zeros((4, 2))}, {"nothing": 1.0}):
        assert "validation error" in refusal(layer, inputs | bad)
    infinite = layer.apply(inputs | {"b": np.array([np.nan, np.inf, -np.inf, 0.0])})["h"]
    assert np.isnan(infinite[0])
    np.testing.assert_allclose(infinite[1:3], [1, -1])


def through_jax() -> None:
    jax.config.update("jax_enable_x64", True)
    layer = Tesseract.from_url(f"{URL}/tesseract/layer")
    rng = np.random.default_rng(4)
    W, x, b = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=4)

    def remote(W, x, b):
        inputs = {"W": W, "x": x, "b": b}
        return jnp.sum(apply_tesseract(layer, inputs, vmap_method="sequential")["h"] ** 2)

    def local(W, x, b):
        return jnp.sum(jnp.tanh(W @ x + b) ** 2)

    np.testing.assert_allclose(remote(W, x, b), local(W, x, b), rtol=1e-13)
    arguments = (0, 1, 2)
    wanted = jax.grad(local, arguments)(W, x, b)
    for function in (jax.grad(remote, arguments), jax.jit(jax.grad(remote, arguments))):
        for one, other in zip(function(W, x, b), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
    tangent = (np.ones_like(W), np.ones_like(x), np.ones_like(b))
    np.testing.assert_allclose(
        jax.jvp(remote, (W, x, b), tangent)[1], jax.jvp(local, (W, x, b), tangent)[1], rtol=1e-12
    )
    many = rng.normal(size=(5, 3))
    np.testing.assert_allclose(
        jax.vmap(lambda one: remote(W, one, b))(many),
        jax.vmap(lambda one: local(W, one, b))(many),
        rtol=1e-12,
    )
    single = apply_tesseract(
        layer, {"W": W.astype("f4"), "x": x.astype("f4"), "b": b.astype("f4")}
    )["h"]
    assert single.dtype == jnp.float32, single.dtype


core()
through_jax()
print("all is well")
