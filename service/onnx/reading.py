"""From an ONNX model to a graph."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import helper

from service.onnx.errors import OnnxError, Unsupported
from service.onnx.folding import Folded
from service.onnx.operators import HANDLERS, Reference

_FLOATS = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.DOUBLE: "float64",
    onnx.TensorProto.FLOAT16: "float32",
    onnx.TensorProto.BFLOAT16: "float32",
}
_OTHERS: dict[int, str] = {
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.BOOL: "bool",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A model as a graph in the service's form.

    `inputs` are the model's own, with their shapes (None for a size that is left open);
    `parameters` the weights that became inputs, their values being the defaults; `dtype`
    is the model's floating dtype, to be asked for with requests.
    """

    graph: dict[str, Any]
    inputs: dict[str, tuple[int | None, ...] | None]
    outputs: tuple[str, ...]
    parameters: tuple[str, ...]
    dtype: Literal["float64", "float32"]


def from_onnx(
    model: onnx.ModelProto | bytes | Path | str,
    *,
    parameters: Literal["inputs", "constants"] = "inputs",
    shapes: Mapping[str, Sequence[int]] | None = None,
    outputs: Sequence[str] | None = None,
) -> Imported:
    """The graph that computes what the model does.

    Floating initializers become inputs with a value, so that they have gradients, or
    constants without. `shapes` fixes shapes of inputs that the model leaves open, which
    helps where other shapes are computed from them. `outputs` are those wanted, by default
    all floating ones; what they don't need is left out.

    Raises OnnxError with everything that has no counterpart here.
    """
    loaded = _loaded(model)
    graph = loaded.graph
    _fix_shapes(graph, shapes or {})
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type in _FLOATS}
    own = [value for value in graph.input if value.name not in {t.name for t in graph.initializer}]
    wanted = _wanted(graph, outputs)
    folded = Folded(loaded, weights if parameters == "inputs" else ())
    reader = _Reader(loaded, folded, weights if parameters == "inputs" else set())
    for value in own:
        reader.add_input(value)
    reasons = reader.read(_needed(folded.nodes, wanted))
    if reasons:
        raise OnnxError(reasons)
    names = reader.finish(wanted)
    return Imported(
        graph={"nodes": reader.nodes, "output": names[0] if len(names) == 1 else names},
        inputs={reader.ids[value.name]: _sizes(value) for value in own},
        outputs=tuple(names),
        parameters=tuple(reader.used_parameters),
        dtype=_dtype(graph),
    )


def _loaded(model: onnx.ModelProto | bytes | Path | str) -> onnx.ModelProto:
    if isinstance(model, onnx.ModelProto):
        loaded = onnx.ModelProto()
        loaded.CopyFrom(model)
    else:
        try:
            if isinstance(model, bytes):
                loaded = onnx.load_model_from_string(model)
            else:
                # Data beside the file is not read: a model could name any file.
                loaded = onnx.load_model(str(model), load_external_data=False)
        except OSError:
            raise
        except Exception as error:
            raise OnnxError(["this is not an ONNX model"]) from error
    outside = [
        tensor.name
        for tensor in loaded.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    if outside:
        raise OnnxError([f"the data of '{name}' lies in another file" for name in outside])
    return loaded


def _fix_shapes(graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]]) -> None:
    known = {value.name: value for value in graph.input}
    for name, sizes in shapes.items():
        if name not in known:
            raise OnnxError([f"the model has no input '{name}'"])
        kind = known[name].type.tensor_type
        kind.ClearField("shape")
        for size in sizes:
            kind.shape.dim.add().dim_value = size


def _wanted(graph: onnx.GraphProto, outputs: Sequence[str] | None) -> list[str]:
    there = {value.name: value.type.tensor_type.elem_type for value in graph.output}
    if outputs is None:
        # An output that shape inference gives no type to may well be a floating one.
        found = [name for name, kind in there.items() if kind in _FLOATS or kind == 0]
        if not found:
            raise OnnxError(["the model has no floating output"])
        return found
    missing = [name for name in outputs if name not in there]
    if missing:
        raise OnnxError([f"the model has no output '{name}'" for name in missing])
    return list(outputs)


def _needed(nodes: Sequence[onnx.NodeProto], wanted: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that the wanted outputs depend on, in order."""
    names = set(wanted)
    found = []
    for node in reversed(nodes):
        if names.intersection(node.output):
            names.update(node.input)
            found.append(node)
    return found[::-1]


def _sizes(value: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)


def _dtype(graph: onnx.GraphProto) -> Literal["float64", "float32"]:
    kinds = {tensor.data_type for tensor in graph.initializer}
    kinds |= {value.type.tensor_type.elem_type for value in graph.input}
    return "float64" if onnx.TensorProto.DOUBLE in kinds else "float32"


class _Reader:
    """Builds the nodes; `ids` finds what an ONNX name became."""

    def __init__(self, model: onnx.ModelProto, folded: Folded, parameters: set[str]) -> None:
        self.folded = folded
        self.nodes: list[dict[str, Any]] = []
        self.ids: dict[str, Reference] = {}
        self.used_parameters: list[str] = []
        self._parameters = parameters
        self._taken: set[str] = set()
        self._opsets = {o.domain.replace("ai.onnx", "", 1) if o.domain == "ai.onnx" else o.domain:
                        o.version for o in model.opset_import}  # fmt: skip

    def add_input(self, value: onnx.ValueInfoProto) -> None:
        """One of the model's own inputs."""
        kind = value.type.tensor_type.elem_type
        node: dict[str, Any] = {"id": self.free(value.name), "op": "input"}
        sizes = _sizes(value)
        if sizes is not None and None not in sizes:
            node["shape"] = list(sizes)
        if kind in _OTHERS:
            node["dtype"] = _OTHERS[kind]
        self.nodes.append(node)
        self.ids[value.name] = node["id"]

    def free(self, wanted: str) -> str:
        """An id near to an ONNX name, and not taken."""
        clean = "".join(c if c.isprintable() else "_" for c in wanted) or "node"
        name, number = clean, 2
        while name in self._taken:
            name, number = f"{clean}_{number}", number + 1
        self._taken.add(name)
        return name

    def read(self, nodes: Sequence[onnx.NodeProto]) -> list[str]:
        """Turn nodes into nodes; what can't be is listed."""
        reasons: list[str] = []
        broken: set[str] = set()
        for node in nodes:
            domain = "" if node.domain == "ai.onnx" else node.domain
            label = node.name or (node.output[0] if node.output else "?")
            handler = HANDLERS.get((domain, node.op_type))
            if broken.intersection(node.input):
                broken.update(node.output)
                continue
            try:
                if handler is None:
                    raise Unsupported("there is no counterpart")
                made = handler(_Node(self, node, self._opsets.get(domain, 1)))
            except Unsupported as error:
                where = f"{domain}.{node.op_type}" if domain else node.op_type
                reasons.append(f"{where} '{label}': {error}")
                broken.update(node.output)
                continue
            found = [made] if not isinstance(made, list | tuple) else list(made)
            found = self._renamed(node.output[0], found)
            for name, reference in zip(node.output, found, strict=False):
                if name:
                    self.ids[name] = reference
        return reasons

    def _renamed(self, name: str, found: list[Reference]) -> list[Reference]:
        """Give the node made last, to which nothing refers yet, the name of its output."""
        last = self.nodes[-1]
        if found[0] != last["id"] or not name:
            return found
        self._taken.discard(last["id"])
        old, last["id"] = last["id"], self.free(name)
        return [last["id"], *(f"{last['id']}{str(r).removeprefix(old)}" for r in found[1:])]

    def reference(self, name: str) -> Reference:
        """What stands here for an ONNX name: a node, a number, or a new leaf."""
        if name in self.ids:
            return self.ids[name]
        if name not in self.folded.constants:
            raise Unsupported(f"nothing gives '{name}'")
        array = self.folded.constants[name]
        if name in self._parameters:
            reference: Reference = self.leaf("input", array, name)
            self.used_parameters.append(reference)
        elif array.ndim == 0 and array.dtype.kind == "f" and math.isfinite(array):
            reference = float(array)
        else:
            reference = self.leaf("constant", array, name)
        self.ids[name] = reference
        return reference

    def leaf(self, op: str, array: Any, name: str = "constant") -> str:
        """A leaf that holds an array."""
        node = {"id": self.free(name), "op": op, "value": _value(array)}
        if array.dtype.kind in "iu":
            node["dtype"] = "int64"
        self.nodes.append(node)
        return str(node["id"])

    def finish(self, wanted: Sequence[str]) -> list[str]:
        """The graph's outputs, under the model's names where those are free."""
        found = []
        for name in wanted:
            try:
                reference = self.reference(name)
            except Unsupported as error:  # a further output of an operator, say
                raise OnnxError([str(error)]) from None
            clean = "".join(c if c.isprintable() else "_" for c in name)
            if not isinstance(reference, str) or (reference != clean and clean not in self._taken):
                identity = {"id": self.free(name), "op": "identity", "inputs": [reference]}
                self.nodes.append(identity)
                reference = str(identity["id"])
            found.append(reference)
        return found


class _Node:
    """An ONNX node in front of its handler; see `service.onnx.operators.Node`."""

    def __init__(self, reader: _Reader, node: onnx.NodeProto, opset: int) -> None:
        self._reader = reader
        self._attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self.opset = opset
        self.inputs: Sequence[str] = list(node.input)
        self.outputs: Sequence[str] = list(node.output)

    def attr(self, name: str, default: Any = None) -> Any:
        value = self._attrs.get(name, default)
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, float):
            return _decimal(value)
        if isinstance(value, list) or type(value).__name__.startswith("Repeated"):
            return [v.decode() if isinstance(v, bytes) else v for v in value]
        return value

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and self.inputs[index] != ""

    def ref(self, index: int) -> Reference:
        return self._reader.reference(self.inputs[index])

    def known(self, index: int) -> Any | None:
        return self._reader.folded.constants.get(self.inputs[index])

    def value(self, index: int) -> Any:
        found = self.known(index)
        if found is None:
            raise Unsupported(
                f"input {index} must be a constant; fixing the shapes of the model's inputs may "
                "make it one"
            )
        return found

    def shape(self, index: int) -> tuple[int, ...]:
        found = self._reader.folded.shapes.get(self.inputs[index])
        if found is None:
            raise Unsupported("a shape is not known; fix the shapes of the model's inputs")
        return found

    def rank(self, index: int) -> int:
        found = self._reader.folded.ranks.get(self.inputs[index])
        if found is None:
            raise Unsupported("the number of axes is not known")
        return found

    def emit(self, op: str, *inputs: Reference, **attrs: Any) -> Reference:
        output = next((o for o in self.outputs if o), "node")
        name = self._reader.free(f"{output}_{op}")
        node: dict[str, Any] = {"id": name, "op": op, "inputs": list(inputs)}
        node |= {key: _plain(value) for key, value in attrs.items() if value is not None}
        self._reader.nodes.append(node)
        return name

    def constant(self, array: Any) -> Reference:
        return self._reader.leaf("constant", np.asarray(array))


def _decimal(value: float) -> float:
    """A float32 attribute as the decimal number that was meant: 1e-5, not 9.9999997e-06."""
    return float(str(np.float32(value)))


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _value(array: Any) -> Any:
    """An array as JSON: a number, or an array object with base64."""
    array = np.asarray(array)
    if array.dtype.kind in "iu":
        array = array.astype(np.int64)
    elif array.dtype.kind == "f" and array.dtype.itemsize < 4:
        array = array.astype(np.float32)
    elif array.dtype.kind not in "fb":
        raise Unsupported("text is not computed with")
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {
        "object_type": "array",
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "data": {"encoding": "base64", "buffer": base64.b64encode(little.tobytes()).decode()},
    }
