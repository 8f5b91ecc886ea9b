"""Constants of an ONNX model worked out beforehand.

Exporters write shapes as computations (Shape, Gather, Concat, …). Here attributes are
plain numbers, so whatever follows from constants and known shapes is computed first, by
ONNX's own reference evaluator.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

_MOST_ELEMENTS = 10_000_000
_ROUNDS = 8


class Folded:
    """A model after folding.

    nodes       the nodes that are left, in their order
    constants   values by name: initializers, and what was computed
    shapes      tuples by name where all sizes are known
    ranks       number of axes by name where it is known
    """

    def __init__(self, model: onnx.ModelProto, parameters: Collection[str]) -> None:
        graph = model.graph
        self.constants: dict[str, Any] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        self._opsets = list(model.opset_import)
        self._parameters = frozenset(parameters)
        self.nodes = list(graph.node)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.ranks: dict[str, int] = {}
        for _ in range(_ROUNDS):
            self._infer(model)
            if not self._fold():
                break

    def _infer(self, model: onnx.ModelProto) -> None:
        """Shapes from ONNX's shape inference over what is left."""
        graph = helper.make_graph(
            self.nodes,
            "left",
            list(model.graph.input),
            list(model.graph.output),
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        whole = helper.make_model(graph, opset_imports=self._opsets)
        whole.ir_version = max(model.ir_version, 4)
        try:
            found = onnx.shape_inference.infer_shapes(whole, data_prop=True).graph
        except onnx.shape_inference.InferenceError:
            found = graph
        for info in (*found.value_info, *found.input, *found.output):
            kind = info.type.tensor_type
            if not kind.HasField("shape"):
                continue
            sizes = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
            self.ranks[info.name] = len(sizes)
            if None not in sizes:
                self.shapes[info.name] = tuple(size for size in sizes if size is not None)
        for name, array in self.constants.items():
            self.shapes[name] = array.shape
            self.ranks[name] = array.ndim

    def _fold(self) -> bool:
        """Compute the nodes whose inputs are known; whether there were any."""
        left = []
        for node in self.nodes:
            values = self._known(node)
            if values is None:
                left.append(node)
                continue
            for name, value in zip(node.output, values, strict=False):
                if name:
                    self.constants[name] = np.asarray(value)
        folded = len(left) < len(self.nodes)
        self.nodes = left
        return folded

    def _known(self, node: onnx.NodeProto) -> list[Any] | None:
        if node.domain not in ("", "ai.onnx"):
            return None
        if node.op_type in ("Shape", "Size") and node.input[0] in self.shapes:
            shape = np.array(self.shapes[node.input[0]], np.int64)
            if node.op_type == "Size":
                return [np.asarray(shape.prod())]
            start, end = _int(node, "start", 0), _int(node, "end", None)
            return [shape[start:end]]
        if any(name and not self._frozen(name) for name in node.input):
            return None
        if any(attribute.HasField("g") for attribute in node.attribute):
            return None
        given = {name: self.constants[name] for name in node.input if name}
        if sum(array.size for array in given.values()) > _MOST_ELEMENTS:
            return None
        return self._evaluated(node, given)

    def _frozen(self, name: str) -> bool:
        return name in self.constants and name not in self._parameters

    def _evaluated(self, node: onnx.NodeProto, given: Mapping[str, Any]) -> list[Any] | None:
        inputs = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in given.items()
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "one", inputs, outputs)
        try:
            model = helper.make_model(graph, opset_imports=self._opsets)
            found = ReferenceEvaluator(model).run(None, dict(given))
        except Exception:
            # Whatever the evaluator can't do stays a node; the reader says if that is a fault.
            return None
        return list(found) if isinstance(found, list | tuple) else None


def _int(node: onnx.NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return attribute.i
    return default
