# ruff: noqa: E402
"""ONNX models as graphs: what can't be read, and models of PyTorch and scikit-learn."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

import orjson
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from service.engine.compute import forward, gradient
from service.engine.control import DEFAULT_LIMITS
from service.engine.program import program_for
from service.onnx import Imported, OnnxError, from_onnx
from service.wire.decode import read_graph
from tests.serving import ROOT


def model_of(
    nodes: list[Any],
    inputs: dict[str, list[Any]],
    outputs: list[str],
    constants: dict[str, Any] | None = None,
    opset: int = 20,
) -> Any:
    """A model in float64, unchecked."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, None) for n in outputs],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def ran(made: Imported, values: dict[str, Any]) -> list[Any]:
    graph = read_graph(orjson.dumps(made.graph), DEFAULT_LIMITS)
    return list(forward(program_for(graph, values), values).outputs.values())


X = np.random.default_rng(0).normal(size=(2, 3, 4))
N = helper.make_node


@pytest.mark.parametrize(
    ("nodes", "constants", "opset"),
    [
        ([N("LogSoftmax", ["x"], ["y"], axis=1)], {}, 13),
        ([N("ReduceSum", ["x"], ["y"], axes=[0, 2], keepdims=0)], {}, 11),
        ([N("ReduceL1", ["x", "a"], ["y"])], {"a": [1]}, 18),
        ([N("ReduceL2", ["x", "a"], ["y"], keepdims=0)], {"a": [-1]}, 18),
        ([N("ReduceSumSquare", ["x"], ["y"])], {}, 18),
        ([N("Clip", ["x"], ["y"], min=-0.5, max=0.5)], {}, 6),
        ([N("Clip", ["x", "", "high"], ["y"])], {"high": 0.5}, 13),
        ([N("Slice", ["x"], ["y"], starts=[1], ends=[9], axes=[2])], {}, 9),
        (
            [N("Slice", ["x", "s", "e", "a", "t"], ["y"])],
            {"s": [3, -1], "e": [0, -(2**63)], "a": [2, 1], "t": [-2, -1]},
            13,
        ),
        ([N("Gather", ["x", "i"], ["y"], axis=2)], {"i": [[-1, 0], [1, -2]]}, 13),
        ([N("Gather", ["x", "i"], ["y"], axis=1)], {"i": 2}, 13),
        ([N("Reshape", ["x", "s"], ["y"])], {"s": [0, -1, 2]}, 14),
        ([N("Flatten", ["x"], ["y"], axis=2)], {}, 13),
        ([N("Transpose", ["x"], ["y"])], {}, 13),
        ([N("Pad", ["x", "p", "v", "a"], ["y"])], {"p": [1, 2], "v": 7.0, "a": [-1]}, 18),
        ([N("Expand", ["x", "s"], ["y"])], {"s": [5, 1, 1, 4]}, 13),
        ([N("Unsqueeze", ["x", "a"], ["z"]), N("Squeeze", ["z", "a"], ["y"])], {"a": [0]}, 13),
        (
            [N("Split", ["x"], ["a", "b"], axis=2, num_outputs=2), N("Sub", ["a", "b"], ["y"])],
            {},
            18,
        ),
        ([N("CumSum", ["x", "a"], ["y"], reverse=1)], {"a": 1}, 14),
        ([N("Trilu", ["x", "k"], ["y"], upper=0)], {"k": 1}, 14),
        ([N("Selu", ["x"], ["y"], alpha=2.0, gamma=1.5)], {}, 6),
        ([N("HardSwish", ["x"], ["y"])], {}, 14),
        ([N("Softsign", ["x"], ["y"])], {}, 1),
        ([N("PRelu", ["x", "w"], ["y"])], {"w": [0.1, 0.2, 0.3, 0.4]}, 16),
        ([N("Gelu", ["x"], ["y"], approximate="tanh")], {}, 20),
        ([N("Max", ["x", "w", "v"], ["y"])], {"w": [0.5], "v": [-0.5]}, 13),
        ([N("Mean", ["x", "w"], ["y"])], {"w": [0.5]}, 13),
        ([N("GlobalAveragePool", ["x"], ["y"])], {}, 1),
        ([N("LayerNormalization", ["x", "w"], ["y"], axis=-1)], {"w": [1.0, 2, 3, 4]}, 17),
        (
            [
                N("Shape", ["x"], ["shape"]),
                N("Gather", ["shape", "first"], ["rows"], axis=0),
                N("Concat", ["rows", "rest"], ["wanted"], axis=0),
                N("Reshape", ["x", "wanted"], ["y"]),
            ],
            {"first": [0], "rest": [-1]},
            13,
        ),
    ],
    ids=lambda value: value[-1].op_type if isinstance(value, list) else None,
)
def test_a_node_means_what_onnx_says(nodes: Any, constants: Any, opset: int) -> None:
    arrays = {
        name: np.asarray(value, None if np.asarray(value).dtype.kind == "f" else np.int64)
        for name, value in constants.items()
    }
    model = model_of(nodes, {"x": [2, 3, 4]}, ["y"], arrays, opset)
    (wanted,) = ReferenceEvaluator(model).run(None, {"x": X})
    (made,) = ran(from_onnx(model), {"x": X})
    np.testing.assert_allclose(made, wanted, rtol=1e-6, atol=1e-9)


def test_softmax_of_old_opsets_takes_all_further_axes_as_one() -> None:
    model = model_of([N("Softmax", ["x"], ["y"], axis=1)], {"x": [2, 3, 4]}, ["y"], opset=11)
    (made,) = ran(from_onnx(model), {"x": X})
    wanted = np.exp(X) / np.exp(X).sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(made, wanted, rtol=1e-12)


def test_gemm_with_everything() -> None:
    node = N("Gemm", ["x", "w", "c"], ["y"], transA=1, transB=1, alpha=0.5, beta=2.0)
    rng = np.random.default_rng(1)
    arrays = {"w": rng.normal(size=(5, 2)), "c": rng.normal(size=5)}
    model = model_of([node], {"x": [2, 3]}, ["y"], arrays)
    x = rng.normal(size=(2, 3))
    (made,) = ran(from_onnx(model), {"x": x})
    np.testing.assert_allclose(made, 0.5 * x.T @ arrays["w"].T + 2 * arrays["c"])


def test_weights_are_inputs_with_gradients_or_constants_without() -> None:
    model = model_of([N("Mul", ["x", "w"], ["y"])], {"x": []}, ["y"], {"w": np.float64(3.0)})
    made = from_onnx(model)
    assert made.parameters == ("w",)
    assert made.dtype == "float64"
    graph = read_graph(orjson.dumps(made.graph), DEFAULT_LIMITS)
    answer = gradient(program_for(graph, {"x": 2.0}), {"x": 2.0})
    assert answer.gradients == {"x": 3.0, "w": 2.0}
    frozen = from_onnx(model, parameters="constants")
    assert frozen.parameters == ()
    graph = read_graph(orjson.dumps(frozen.graph), DEFAULT_LIMITS)
    assert gradient(program_for(graph, {"x": 2.0}), {"x": 2.0}).gradients == {"x": 3.0}


def test_everything_without_a_counterpart_is_listed() -> None:
    nodes = [N("LSTM", ["x", "x", "x"], ["a"]), N("Exp", ["a"], ["b"]),
             N("NonZero", ["x"], ["c"]), N("Add", ["b", "c"], ["y"])]  # fmt: skip
    with pytest.raises(OnnxError) as caught:
        from_onnx(model_of(nodes, {"x": [2, 2, 2]}, ["y"]))
    assert [reason.split()[0] for reason in caught.value.reasons] == ["LSTM", "NonZero"]


def test_outputs_that_are_not_wanted_need_no_counterpart() -> None:
    nodes = [N("NonZero", ["x"], ["c"]), N("Exp", ["x"], ["y"])]
    model = model_of(nodes, {"x": [2]}, ["y", "c"])
    assert from_onnx(model, outputs=["y"]).outputs == ("y",)
    with pytest.raises(OnnxError, match="no output 'z'"):
        from_onnx(model, outputs=["z"])


def test_open_shapes_can_be_fixed() -> None:
    nodes = [
        N("Shape", ["x"], ["shape"]),
        N("Expand", ["w", "shape"], ["wide"]),
        N("Mul", ["x", "wide"], ["y"]),
    ]
    model = model_of(nodes, {"x": ["batch", 2]}, ["y"], {"w": np.array([2.0])})
    with pytest.raises(OnnxError, match="fixing the shapes"):
        from_onnx(model)
    made = from_onnx(model, shapes={"x": [3, 2]})
    assert made.inputs == {"x": (3, 2)}
    np.testing.assert_array_equal(ran(made, {"x": np.ones((3, 2))})[0], np.full((3, 2), 2.0))
    with pytest.raises(OnnxError, match="no input 'z'"):
        from_onnx(model, shapes={"z": [1]})


def test_names_of_onnx_are_kept_and_made_safe() -> None:
    nodes = [N("Exp", ["in/x:0"], ["mid\n"]), N("Neg", ["mid\n"], ["out.1"])]
    made = from_onnx(model_of(nodes, {"in/x:0": [2]}, ["out.1"]))
    assert [node["id"] for node in made.graph["nodes"]] == ["in/x:0", "mid_", "out.1"]
    np.testing.assert_allclose(ran(made, {"in/x:0": np.ones(2)})[0], -np.exp(np.ones(2)))


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    for content in (b"", b"nothing", b"\x08\x07" * 20):
        with pytest.raises(OnnxError):
            from_onnx(content)


def test_weights_in_other_files_are_not_read() -> None:
    model = model_of([N("Mul", ["x", "w"], ["y"])], {"x": []}, ["y"], {"w": np.float64(3.0)})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"
    with pytest.raises(OnnxError, match="another file"):
        from_onnx(model.SerializeToString())


def command(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_the_commands_go_there_and_back(tmp_path: Path) -> None:
    model = str(tmp_path / "f.onnx")
    command("onnx-export", "-e", "f = tanh(W @ x)", "--shape", "W=2,3", "--shape", "x=3",
            "-o", model)  # fmt: skip
    graph = json.loads(command("onnx-import", model))
    assert [node["op"] for node in graph["nodes"]] == ["input", "input", "matmul", "tanh"]
    told = command("onnx-export", "-e", "inv(x)", "--shape", "x=2,2", "-o", model, code=1)
    assert "inv" in json.loads(told.splitlines()[-1])["errors"][0]["detail"]
    assert "NAME=2,3" in command("onnx-export", "-e", "x", "--shape", "x=a", code=2)


# PyTorch and scikit-learn.


@pytest.fixture
def torch() -> Iterator[Any]:
    module = pytest.importorskip("torch")
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield module
    logging.disable(logging.NOTSET)


def nets(torch: Any) -> dict[str, tuple[Any, Any]]:
    nn = torch.nn
    torch.manual_seed(231)
    cnn = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, stride=2), nn.BatchNorm2d(4), nn.LeakyReLU(),
        nn.MaxPool2d(2), nn.AvgPool2d(2, padding=1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    mlp = nn.Sequential(
        nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4), nn.SiLU(), nn.LayerNorm(4), nn.Softmax(-1)
    )
    encoder = nn.Sequential(
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"),
        nn.Linear(8, 3),
        nn.LogSoftmax(-1),
    )
    return {
        "cnn": (cnn, torch.randn(2, 1, 8, 8)),
        "mlp": (mlp, torch.randn(7, 3)),
        "encoder": (encoder, torch.randn(2, 5, 8)),
    }


@pytest.mark.oracle
@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
@pytest.mark.parametrize("name", ["cnn", "mlp", "encoder"])
def test_models_of_pytorch_have_pytorchs_gradients(torch: Any, name: str, exporter: str) -> None:
    net, x = nets(torch)[name]
    net, x = net.double().eval(), x.double().requires_grad_()
    with torch.no_grad():
        for tensor in net.parameters():  # exporters make one of equal tensors
            tensor += 0.1 * torch.randn(*tensor.shape)
    if exporter == "dynamo":
        pytest.importorskip("onnxscript")
        model = torch.onnx.export(net, (x,), dynamo=True, verbose=False).model_proto
    else:
        file = io.BytesIO()
        torch.onnx.export(net, (x,), file, dynamo=False)
        model = onnx.load_model_from_string(file.getvalue())
    made = from_onnx(model)
    (own,) = made.inputs
    graph = read_graph(orjson.dumps(made.graph), DEFAULT_LIMITS)
    result = net(x)
    cotangent = torch.randn(*result.shape, dtype=torch.float64)
    (result * cotangent).sum().backward()
    values = {own: x.detach().numpy()}
    found = gradient(program_for(graph, values), values, cotangent=cotangent.numpy(), values=False)
    np.testing.assert_allclose(found.value, result.detach(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.gradients[own], x.grad, rtol=1e-9, atol=1e-12)
    # Exporters fold batch norms into weights: those are not compared.
    compared = 0
    for parameter, tensor in net.named_parameters():
        folded = name == "cnn" and parameter.startswith("0.")
        if parameter in made.parameters and not folded:
            np.testing.assert_allclose(
                found.gradients[parameter], tensor.grad, rtol=1e-9, atol=1e-12
            )
            compared += 1
    assert compared >= 2


def estimators() -> dict[str, Any]:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, Normalizer, PolynomialFeatures, StandardScaler

    mlp = MLPRegressor(hidden_layer_sizes=(5,), max_iter=200, activation="tanh", random_state=0)
    return {
        "linear": LinearRegression(),
        "scaled mlp": make_pipeline(StandardScaler(), mlp),
        "logistic": LogisticRegression(),
        "mlp classifier": MLPClassifier(hidden_layer_sizes=(4,), max_iter=100, random_state=0),
        "principal components": make_pipeline(PCA(2), Ridge()),
        "polynomial": make_pipeline(MinMaxScaler(), PolynomialFeatures(2), LinearRegression()),
        "normalized": make_pipeline(Normalizer(), LinearRegression()),
    }


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name",
    ["linear", "scaled mlp", "logistic", "mlp classifier", "principal components", "polynomial",
     "normalized"],
)  # fmt: skip
def test_models_of_scikit_learn(name: str) -> None:
    skl2onnx = pytest.importorskip("skl2onnx")
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3))
    target = points @ [1.0, 2.0, 3.0]
    classes = np.digitize(target, [-1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = estimators()[name]
        classifies = hasattr(estimator, "predict_proba")
        estimator.fit(points, classes if classifies else target)
        options = {"zipmap": False} if classifies else None
        model = skl2onnx.to_onnx(estimator, points[:1], options=options)

    def predict(x: Any) -> Any:
        made = estimator.predict_proba(x) if classifies else estimator.predict(x)
        return np.asarray(made).reshape(len(x), -1)

    outputs = ["probabilities"] if classifies else None
    made = from_onnx(model, shapes={"X": [2, 3]}, outputs=outputs)
    graph = read_graph(orjson.dumps(made.graph), DEFAULT_LIMITS)
    x = rng.normal(size=(2, 3))
    program = program_for(graph, {"X": x})
    (value,) = forward(program, {"X": x}).outputs.values()
    np.testing.assert_allclose(value, predict(x), rtol=1e-6, atol=1e-9)
    cotangent = rng.normal(size=np.shape(value))
    found = gradient(program, {"X": x}, cotangent=cotangent, values=False).gradients["X"]
    step = 1e-6
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        slope = ((predict(x + moved) - predict(x - moved)) / (2 * step) * cotangent).sum()
        assert abs(found[index] - slope) < 1e-5 * max(1, abs(slope))
