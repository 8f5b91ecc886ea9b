"""UM-Bridge 1.0: a graph seen as a model, a map from vectors to vectors.

Every floating input without a value fixed by the configuration is one input vector, every
output one output vector: flattened in C order, a scalar as a vector of length one.
Protocol: https://um-bridge-benchmarks.readthedocs.io/en/docs/umbridge/index.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from service.codes import Refusal
from service.engine.control import Limits
from service.engine.errors import GraphError, escaped
from service.engine.graph import Graph
from service.engine.lru_cache import Recent, Share
from service.engine.program import Cost, Program, abstract_program, program_for
from service.engine.registry import TensorSpec
from service.wire.context import Context, WouldBlock
from service.wire.decode import find_graph
from service.wire.errors import GraphNotFound, MalformedJson
from service.wire.tensors import check_shape, dtype_faults, read_tensor

UNREGISTERED = "graph"
"""The name of the model whose graph comes with the request, in `config`."""


_CODES = {
    "ModelNotFound": "graph_not_found",
    "InvalidInput": "invalid_request",
    "UnsupportedFeature": "not_differentiable",
    "InvalidOutput": "not_finite",
}


class ProtocolError(Refusal):
    """An error of the protocol: its type, a message, and the HTTP status."""

    def __init__(self, kind: str, message: str, status: int = 400) -> None:
        super().__init__(_CODES[kind], message)
        self.kind = kind
        self.message = message
        self.status = status


def invalid(message: str) -> ProtocolError:
    """What came is wrong."""
    return ProtocolError("InvalidInput", message)


class Config(msgspec.Struct, forbid_unknown_fields=True):
    """What `config` may hold.

    `graph` for the model named "graph"; `inputs` fixes values of inputs, which are then no
    input vectors; `shapes` declares shapes of inputs that the graph leaves open; `outputs`
    chooses and orders the output vectors.
    """

    graph: msgspec.Raw = msgspec.Raw(b"")
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)
    shapes: dict[str, list[int]] = msgspec.field(default_factory=dict)
    outputs: list[str] | None = None


class Call(msgspec.Struct):
    """A request of any of the protocol's endpoints; which members it needs, the endpoint knows."""

    name: str
    config: msgspec.Raw = msgspec.Raw(b"{}")
    input: Any = None
    outWrt: Any = None
    inWrt: Any = None
    inWrt1: Any = None
    inWrt2: Any = None
    sens: Any = None
    vec: Any = None


_decode = msgspec.json.Decoder(Call).decode
_decode_config = msgspec.json.Decoder(Config | None).decode
_MODELS_KEPT, _MODELS_BYTES = 64, 64 * 1024 * 1024


@dataclass(frozen=True)
class Model:
    """A graph as a model."""

    graph: Graph
    fixed: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    limits: Limits
    derived: Share = field(default_factory=Share)

    @cached_property
    def _abstract(self) -> Program:
        leaves = self.graph.inputs
        specs = {
            name: TensorSpec(shape, leaves[name].dtype or "float64")
            for name, shape in self.shapes.items()
        }
        for name, value in self.fixed.items():
            array = np.asarray(value)
            dtype = leaves[name].dtype or str(array.dtype)
            specs[name] = TensorSpec(array.shape, dtype)
        return abstract_program(self.graph, specs, "float64", self.limits)

    @cached_property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the inputs that are input vectors, by name in their order."""
        program = self._abstract
        return {
            name: program.spec(name).shape
            for name, leaf in self.graph.inputs.items()
            if name not in self.fixed and (leaf.dtype or "float64").startswith("float")
        }

    @cached_property
    def results(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the outputs, by name in their order."""
        return {name: self._abstract.spec(name).shape for name in self.outputs}

    @property
    def cost(self) -> Cost:
        """The cost of one forward run."""
        return self._abstract.cost

    @property
    def differentiable(self) -> bool:
        """Whether all of the outputs have gradients."""
        return all(self._abstract.spec(name).floating for name in self.outputs)

    @property
    def nbytes(self) -> int:
        """Its memory, roughly."""
        fixed = sum(getattr(value, "nbytes", 100) for value in self.fixed.values())
        return fixed + self._abstract.nbytes

    def values(self, vectors: Any) -> dict[str, Any]:
        """The inputs' values: the vectors in their shapes, and the fixed ones."""
        if not isinstance(vectors, list) or len(vectors) != len(self.inputs):
            raise invalid(f"input is a list of {len(self.inputs)} vectors")
        given = dict(self.fixed)
        for place, (name, shape) in enumerate(self.inputs.items()):
            given[name] = shaped(vectors[place], shape, f"input {place}")
        return given

    def input_at(self, index: Any, member: str) -> str:
        """The name of the input vector with this number."""
        return _at(list(self.inputs), index, member)

    def output_at(self, index: Any, member: str) -> str:
        """The name of the output vector with this number."""
        return _at(list(self.outputs), index, member)

    def program(self, values: Mapping[str, Any]) -> Program:
        """The program for these values."""
        return program_for(self.graph, values, "float64", self.limits)


def _at(names: Sequence[str], index: Any, member: str) -> str:
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(names):
        raise invalid(f"{member} is a number from 0 to {len(names) - 1}")
    return names[index]


def size(shape: tuple[int, ...]) -> int:
    """The length of a tensor's vector."""
    return math.prod(shape)


def shaped(vector: Any, shape: tuple[int, ...], what: str) -> Any:
    """A vector of numbers as a tensor of this shape: a float for a scalar."""
    if not isinstance(vector, list) or len(vector) != size(shape):
        length = len(vector) if isinstance(vector, list) else "none"
        raise invalid(f"{what} is a vector of length {size(shape)}, not {length}")
    if not all(type(number) is float or type(number) is int for number in vector):
        raise invalid(f"{what} is a vector of numbers")
    try:
        array = np.array(vector, np.float64)
    except OverflowError:
        raise invalid(f"{what} holds a number out of range") from None
    return array.reshape(shape) if shape else float(array[0])


def flat(tensor: Any, node: str) -> list[float]:
    """A tensor as a vector; JSON numbers can't be NaN or infinite, so those are an error."""
    array = np.asarray(tensor, np.float64)
    if not np.isfinite(array).all():
        raise ProtocolError("InvalidOutput", f"'{node}' is not finite at this input", 500)
    found: list[float] = array.ravel().tolist()
    return found


def read_call(body: bytes, context: Context, may_block: bool) -> tuple[Call, Model]:
    """The request and the model that it names. Models used last are kept.

    Raises ProtocolError, what reading a graph raises, and WouldBlock.
    """
    try:
        call = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _explained(body) from None
    text = _registered(call.name, context, may_block)
    written = bytes(call.config)
    key = (call.name if text is None else text, written, context.limits)
    model = _models.get(key)
    if model is not None:
        return call, model
    try:
        config = _decode_config(written) or Config()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        known = ", ".join(Config.__struct_fields__)
        raise invalid(f"config is an object that may hold {known}, and nothing else") from None
    if bytes(config.graph):
        if call.name != UNREGISTERED:
            raise invalid(f"config.graph goes with the model '{UNREGISTERED}' only")
        text = bytes(config.graph)
    elif text is None:
        raise invalid("config.graph is missing: the graph, or the id or name of a registered one")
    graph = find_graph(text, context, may_block)
    model = _model(graph, config, context.limits)
    if text[:1] != b'"':  # what a name in the configuration points at may change
        _models.put(key, model, 2 * (len(written) + len(text)) + model.nbytes)
    return call, model


_models: Recent[Any, Model] = Recent(_MODELS_KEPT, _MODELS_BYTES)


def _registered(name: str, context: Context, may_block: bool) -> bytes | None:
    """The JSON of the registered graph; None for the model that has none of its own."""
    if context.find_graph is not None:
        if not may_block:
            raise WouldBlock
        try:
            return context.find_graph(name)
        except GraphNotFound:
            pass
    if name != UNREGISTERED:
        raise ProtocolError("ModelNotFound", "no graph is registered under this name")
    return None


def _explained(body: bytes) -> Exception:
    """Why a body was not taken."""
    try:
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return MalformedJson("the body is not valid JSON")
    return invalid("the body is an object with the member name, a string")


def _model(graph: Graph, config: Config, limits: Limits) -> Model:
    leaves = graph.inputs
    for name in (*config.inputs, *config.shapes):
        if name not in leaves:
            raise invalid("config names an input that the graph doesn't have")
    shapes = {
        name: check_shape(shape, f"#/config/shapes/{escaped(name)}", limits)
        for name, shape in config.shapes.items()
    }
    fixed = {
        name: read_tensor(value, f"#/config/inputs/{escaped(name)}", limits)
        for name, value in config.inputs.items()
    }
    faults = list(dtype_faults(leaves, fixed, "#/config/inputs"))
    if faults:
        raise GraphError(faults)
    outputs = graph.outputs if config.outputs is None else tuple(config.outputs)
    known: Callable[[str], bool] = graph.index.__contains__
    if not outputs or not all(known(name) or known(name.partition(".")[0]) for name in outputs):
        raise invalid("config.outputs names a node that the graph doesn't have")
    model = Model(graph, fixed, shapes, outputs, limits)
    try:
        if not all(name in model._abstract.code.names for name in outputs):
            raise invalid("config.outputs names an output that its node doesn't have")
    except GraphError as error:
        raise invalid(str(error)) from None
    return model
