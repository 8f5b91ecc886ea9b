"""From a graph to an ONNX model.

Operators that ONNX has are written as such; composites that it hasn't are expanded into
primitives first. Shapes are part of the model: every input has the shape it is given.
Semantics: https://onnx.ai/onnx/operators/ (opset 20).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnx
from onnx import helper, numpy_helper

from service.engine.code import Code
from service.engine.control import DEFAULT_LIMITS, Limits
from service.engine.graph import Graph
from service.engine.graph_spec import Leaf
from service.engine.program import Program, abstract_program
from service.engine.registry import Operator, Rule, TensorSpec
from service.engine.trace import Builder
from service.onnx.errors import OnnxError, Unsupported

OPSET = 20
IR_VERSION = 9


def to_onnx(
    graph: Graph,
    shapes: Mapping[str, Sequence[int]] | None = None,
    *,
    dtype: Literal["float64", "float32"] = "float32",
    limits: Limits = DEFAULT_LIMITS,
) -> onnx.ModelProto:
    """The graph as a model, checked by ONNX's own checker.

    Inputs that have a value become initializers that can be overridden; the others have
    the shape of `shapes`, else the declared one, else that of a scalar. Raises GraphError
    where shapes don't fit, OnnxError with every operator that ONNX has no way to say.
    """
    leaves = graph.inputs
    specs = {
        name: TensorSpec(tuple(shape), leaves[name].dtype or dtype if name in leaves else dtype)
        for name, shape in (shapes or {}).items()
    }
    program = abstract_program(graph, specs, dtype, limits)
    writer = _Writer(program, limits)
    writer.write()
    try:
        return writer.model()
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise OnnxError([f"ONNX does not take the model: {error}".splitlines()[0]]) from None


_TYPES = {
    "float64": onnx.TensorProto.DOUBLE,
    "float32": onnx.TensorProto.FLOAT,
    "int64": onnx.TensorProto.INT64,
    "int32": onnx.TensorProto.INT32,
    "bool": onnx.TensorProto.BOOL,
}


class _Writer:
    def __init__(self, program: Program, limits: Limits) -> None:
        self.program = program
        self.limits = limits
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self._known: dict[tuple[Any, ...], str] = {}
        self._taken: set[str] = set(program.code.names)
        self._count = 0

    def fresh(self) -> str:
        """A name that nothing has."""
        while True:
            self._count += 1
            name = f"t{self._count}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def emit(self, op: str, inputs: Sequence[str], name: str | None = None, **attrs: Any) -> str:
        """A node with one output."""
        output = name or self.fresh()
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attrs))
        return output

    def constant(self, value: Any, dtype: str) -> str:
        """An initializer; equal small ones are written once."""
        array = np.asarray(value, dtype)
        key = (array.shape, dtype, array.tobytes()) if array.size <= 64 else ()
        if key in self._known:
            return self._known[key]
        name = self.fresh()
        self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        if key:
            self._known[key] = name
        return name

    def integers(self, values: Sequence[int]) -> str:
        """A list of integers as an initializer."""
        return self.constant(np.array(list(values), np.int64), "int64")

    def write(self) -> None:
        """All leaves and nodes; OnnxError with what can't be written."""
        graph, program = self.program.graph, self.program
        for position, leaf in sorted(graph.leaves.items()):
            self._leaf(graph.ids[position], leaf)
        reasons: list[str] = []
        for position in graph.order:
            name, operator = graph.ids[position], graph.operator(position)
            sources = [self._source(source) for source in graph.sources(position)]
            inputs = [source for source, _ in sources]
            specs = [spec for _, spec in sources]
            count = operator.outputs if operator.outputs == 1 else _outputs(program, name)
            outputs = [name] if count == 1 else [f"{name}.{i}" for i in range(count)]
            results = [program.spec(output) for output in outputs]
            attrs = graph.attributes(position)
            try:
                self._node(operator, inputs, specs, attrs, outputs, results)
            except (Unsupported, ValueError, IndexError) as error:
                reasons.append(f"{operator.name} '{name}': {error}")
        if reasons:
            raise OnnxError(reasons)

    def _leaf(self, name: str, leaf: Leaf) -> None:
        spec = self.program.spec(name)
        if leaf.value is not None:
            array = np.asarray(leaf.value, spec.dtype, order="C")
            self.initializers.append(numpy_helper.from_array(array, name))
        if leaf.kind == "input":
            self.inputs.append(_info(name, spec))

    def _source(self, source: int) -> tuple[str, TensorSpec]:
        """The name and shape of what stands at an input position."""
        graph = self.program.graph
        if source >= 0:
            name = graph.ids[source]
            if name not in graph.index or f"{name}.1" in self.program.code.names:
                name = f"{name}.0"
            return name, self.program.spec(name)
        if source in graph.projections:
            position, index = graph.projections[source]
            name = f"{graph.ids[position]}.{index}"
            return name, self.program.spec(name)
        number = graph.literal(source)
        spec = TensorSpec((), "bool" if isinstance(number, bool) else self.program.dtype)
        return self.constant(number, spec.dtype), spec

    def _node(
        self,
        operator: Operator,
        inputs: Sequence[str],
        specs: Sequence[TensorSpec],
        attrs: Mapping[str, Any],
        outputs: Sequence[str],
        results: Sequence[TensorSpec],
    ) -> None:
        """One application of an operator, by its own ONNX operator or expanded."""
        name = operator.name
        if callable(operator.onnx):
            self._expanded(operator.onnx, inputs, specs, attrs, outputs, results)
        elif operator.onnx and operator.group == "reduction":
            self._reduction(operator.onnx, inputs, specs[0], attrs, outputs[0])
        elif operator.onnx:
            if not operator.indices:
                inputs = self._alike(name, inputs, specs, results[0])
            known = onnx.defs.get_schema(operator.onnx, OPSET).attributes
            given = {key: _attribute(value) for key, value in attrs.items() if key in known}
            self.emit(operator.onnx, inputs, outputs[0], **given)
        elif name in _WRITERS:
            _WRITERS[name](self, inputs, specs, attrs, outputs, results)
        elif operator.expand is not None:
            self._expanded(operator.expand, inputs, specs, attrs, outputs, results)
        else:
            raise Unsupported("ONNX has no such operator")

    def _reduction(
        self, op: str, inputs: Sequence[str], x: TensorSpec, attrs: Mapping[str, Any], output: str
    ) -> None:
        """A reduction; ONNX's take no empty list of axes for what it is."""
        axes = _axes(attrs["axis"])
        if not x.shape or axes == []:
            self.emit("Identity", inputs, output)
            return
        given = self.integers(list(range(len(x.shape))) if axes is None else axes)
        self.emit(op, [*inputs, given], output, keepdims=int(attrs["keepdims"]))

    def _alike(
        self,
        name: str,
        inputs: Sequence[str],
        specs: Sequence[TensorSpec],
        result: TensorSpec,
    ) -> list[str]:
        """The inputs cast to one dtype, which ONNX wants where NumPy promotes."""
        place = 1 if name == "where" else 0
        dtype = result.dtype
        if dtype == "bool":
            dtype = str(np.result_type(*(spec.dtype for spec in specs[place:])))
        cast = list(inputs)
        for i in range(place, len(cast)):
            if specs[i].dtype != dtype:
                cast[i] = self.emit("Cast", [cast[i]], to=_TYPES[dtype])
        return cast

    def _expanded(
        self,
        meaning: Rule,
        inputs: Sequence[str],
        specs: Sequence[TensorSpec],
        attrs: Mapping[str, Any],
        outputs: Sequence[str],
        results: Sequence[TensorSpec],
    ) -> None:
        """What an operator means in terms of others, as their nodes."""
        builder = Builder(self.program.dtype, limits=self.limits)
        names = [f"i{place}" for place in range(len(inputs))]
        traced = [builder.input(*each) for each in zip(names, specs, strict=True)]
        parts = meaning(builder, *traced, **attrs)
        wanted = {}
        for place, part in enumerate(parts if isinstance(parts, tuple) else (parts,)):
            if part.dtype != results[place].dtype:
                part = builder.cast(part, dtype=results[place].dtype)
            builder.code.names[f"r{place}"] = part.slot
            wanted[f"r{place}"] = outputs[place]
        self._steps(builder.code, dict(zip(names, inputs, strict=True)), wanted)

    def _steps(self, code: Code, given: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        """The steps of straight-line code; `wanted` names results."""
        ends = {code.names[name]: theirs for name, theirs in wanted.items()}
        names: dict[int, list[str]] = {}
        leaves = {slot: given[name] for name, slot in code.inputs.items()}
        for slot, step in enumerate(code.steps):
            if slot in leaves:
                names[slot] = [leaves[slot]]
            elif step.leaf:
                names[slot] = [self.constant(step.value, step.spec.dtype)]
            elif step.operator.name == "output_of":
                names[slot] = [names[step.inputs[0]][step.attrs["index"]]]
            else:
                count = len(step.specs) or 1
                outputs = [self.fresh() for _ in range(count)]
                if slot in ends:
                    outputs[0] = ends[slot]
                results = list(step.specs) or [step.spec]
                inputs = [names[source][0] for source in step.inputs]
                specs = code.specs_of(step.inputs)
                self._node(step.operator, inputs, specs, step.attrs, outputs, results)
                names[slot] = outputs
        for slot, theirs in ends.items():
            if names[slot][0] != theirs:
                self.emit("Identity", names[slot], theirs)

    def model(self) -> onnx.ModelProto:
        """The model, after ONNX's checker has seen it."""
        program = self.program
        outputs = []
        for name in program.outputs:
            whole = name if f"{name}.1" not in program.code.names else f"{name}.0"
            outputs.append(_info(whole, program.spec(whole)))
        graph = helper.make_graph(
            self.nodes, "graph", self.inputs, outputs, initializer=self.initializers
        )
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="gradient-service"
        )
        made.ir_version = IR_VERSION
        onnx.checker.check_model(made, full_check=True)
        return made


def _info(name: str, spec: TensorSpec) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _TYPES[spec.dtype], list(spec.shape))


def _outputs(program: Program, name: str) -> int:
    """How many outputs a node has."""
    count = 0
    while f"{name}.{count}" in program.code.names:
        count += 1
    return max(1, count)


def _attribute(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _axes(axis: Any) -> list[int] | None:
    if axis is None:
        return None
    return [axis] if isinstance(axis, int) else list(axis)


Write = Callable[
    [
        _Writer,
        Sequence[str],
        Sequence[TensorSpec],
        Mapping[str, Any],
        Sequence[str],
        Sequence[TensorSpec],
    ],
    None,
]
_WRITERS: dict[str, Write] = {}


def _writes(*names: str) -> Callable[[Write], Write]:
    def register(write: Write) -> Write:
        for name in names:
            _WRITERS[name] = write
        return write

    return register


@_writes("clip")
def _clip(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    low, high = (
        "" if a[name] is None else w.constant(a[name], s[0].dtype) for name in ("min", "max")
    )
    w.emit("Clip", [i[0], low, high], o[0])


@_writes("cast")
def _cast(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    w.emit("Cast", i, o[0], to=_TYPES[r[0].dtype])


@_writes("reshape", "broadcast_to", "expand_dims", "squeeze", "sum_to")
def _to_shape(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    if math.prod(s[0].shape) == math.prod(r[0].shape):
        w.emit("Reshape", [i[0], w.integers(r[0].shape)], o[0])
    elif math.prod(s[0].shape) < math.prod(r[0].shape):
        w.emit("Expand", [i[0], w.integers(r[0].shape)], o[0])
    else:
        lead = len(s[0].shape) - len(r[0].shape)
        kept = [
            lead + place
            for place, size in enumerate(r[0].shape)
            if size == 1 and s[0].shape[lead + place] != 1
        ]
        axes = w.integers([*range(lead), *kept])
        summed = w.emit("ReduceSum", [i[0], axes], keepdims=1)
        w.emit("Reshape", [summed, w.integers(r[0].shape)], o[0])


@_writes("permute_dims")
def _permute_dims(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    w.emit("Transpose", i, o[0], perm=[axis % len(s[0].shape) for axis in a["axes"]])


@_writes("take_along_axis")
def _take_along_axis(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    axis = a["axis"] % len(r[0].shape)
    names = list(i)
    for place in (0, 1):
        # Here the other axes broadcast; in ONNX they are equal.
        wanted = list(r[0].shape)
        wanted[axis] = s[place].shape[axis - len(wanted)]
        if tuple(wanted) != s[place].shape:
            names[place] = w.emit("Expand", [names[place], w.integers(wanted)])
    w.emit("GatherElements", names, o[0], axis=axis)


@_writes("matrix_transpose")
def _matrix_transpose(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    axes = list(range(len(s[0].shape)))
    axes[-2:] = axes[:-3:-1]
    w.emit("Transpose", i, o[0], perm=axes)


@_writes("slice")
def _slice(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    axes = range(len(a["starts"])) if a["axes"] is None else a["axes"]
    steps = [1] * len(a["starts"]) if a["steps"] is None else a["steps"]
    stops = [
        -(2**63) if t < 0 and e < -(10**9) else e for e, t in zip(a["stops"], steps, strict=True)
    ]
    lists = [w.integers(a["starts"]), w.integers(stops), w.integers(axes), w.integers(steps)]
    w.emit("Slice", [i[0], *lists], o[0])


@_writes("slice_into")
def _slice_into(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    """The elements scattered to their places in flat zeros."""
    places = np.arange(math.prod(r[0].shape)).reshape(r[0].shape)
    key: list[slice] = [slice(None)] * len(r[0].shape)
    axes = range(len(a["starts"])) if a["axes"] is None else a["axes"]
    steps = [1] * len(a["starts"]) if a["steps"] is None else a["steps"]
    for axis, start, stop, step in zip(axes, a["starts"], a["stops"], steps, strict=True):
        key[axis] = slice(start, None if step < 0 and stop < -(10**9) else stop, step)
    _scatter(w, i[0], places[tuple(key)], s[0], r[0], o[0])


def _scatter(
    w: _Writer, x: str, places: Any, spec: TensorSpec, result: TensorSpec, output: str
) -> None:
    """Zeros of the result's shape, with x added at these places of it flattened."""
    zeros = w.constant(np.zeros(math.prod(result.shape)), spec.dtype)
    flat = w.emit("Reshape", [x, w.integers([-1])])
    indices = w.constant(places.reshape(-1), "int64")
    added = w.emit("ScatterElements", [zeros, indices, flat], axis=0, reduction="add")
    w.emit("Reshape", [added, w.integers(result.shape)], output)


@_writes("index_add")
def _index_add(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    axis = a["axis"] % len(s[0].shape)
    rank, count = len(s[1].shape), len(s[0].shape)
    # The indices once for every element of the updates, whose index axes are made one.
    length = math.prod(s[1].shape)
    shape = (*s[0].shape[:axis], length, *s[0].shape[axis + 1 :])
    updates = w.emit("Reshape", [i[2], w.integers(shape)])
    wide = [1] * count
    wide[axis] = length
    flat = w.emit("Reshape", [i[1], w.integers(wide)]) if rank != 0 or count else i[1]
    indices = w.emit("Expand", [flat, w.integers(shape)])
    w.emit("ScatterElements", [i[0], indices, updates], o[0], axis=axis, reduction="add")


@_writes("scatter_add")
def _scatter_add(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    w.emit("ScatterElements", i, o[0], axis=a["axis"], reduction="add")


@_writes("stack")
def _stack(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    axis = a["axis"] % len(r[0].shape)
    wide = [w.emit("Unsqueeze", [each, w.integers([axis])]) for each in i]
    w.emit("Concat", wide, o[0], axis=axis)


@_writes("split")
def _split(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    axis = a["axis"] % len(s[0].shape)
    sizes = w.integers([each.shape[axis] for each in r])
    w.nodes.append(helper.make_node("Split", [i[0], sizes], list(o), axis=axis))


@_writes("unstack")
def _unstack(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    axis = a["axis"] % len(s[0].shape)
    for place, output in enumerate(o):
        w.emit("Gather", [i[0], w.constant(place, "int64")], output, axis=axis)


@_writes("cumulative_sum")
def _cumulative_sum(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    w.emit("CumSum", [i[0], w.constant(a["axis"], "int64")], o[0])


@_writes("argmax", "argmin")
def _arg(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    op = "ArgMax" if a.get("largest", True) else "ArgMin"
    if a["axis"] is None:
        flat = w.emit("Reshape", [i[0], w.integers([-1])])
        place = w.emit(op, [flat], axis=0, keepdims=0)
        w.emit("Reshape", [place, w.integers(r[0].shape)], o[0])
    else:
        w.emit(op, i, o[0], axis=a["axis"], keepdims=int(a["keepdims"]))


def _arg_min(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    _arg(w, i, s, {**a, "largest": False}, o, r)


_WRITERS["argmin"] = _arg_min


@_writes("argsort")
def _argsort(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    count = w.integers([s[0].shape[a["axis"]]])
    given = {"axis": a["axis"], "largest": 0, "sorted": 1}
    w.nodes.append(helper.make_node("TopK", [i[0], count], [w.fresh(), o[0]], **given))


def _triangle(upper: int) -> Write:
    def write(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
        w.emit("Trilu", [i[0], w.constant(a["k"], "int64")], o[0], upper=upper)

    return write


_WRITERS["tril"] = _triangle(0)
_WRITERS["triu"] = _triangle(1)


@_writes("one_hot")
def _one_hot(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    values = w.constant([0.0, 1.0], r[0].dtype)
    labels = w.emit("Reshape", [i[0], w.integers([-1])])
    rows = w.emit("OneHot", [labels, w.constant(a["classes"], "int64"), values])
    w.emit("Reshape", [rows, w.integers(r[0].shape)], o[0])


@_writes("unfold", "diagonal")
def _gathered(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    """Windows or a diagonal, as a gathering from the flattened last axes."""
    taken = len(a["kernel"]) if "kernel" in a else 2
    lead, last = s[0].shape[: len(s[0].shape) - taken], s[0].shape[len(s[0].shape) - taken :]
    places = _places(last, a)
    flat = w.emit("Reshape", [i[0], w.integers([*lead, math.prod(last)])])
    found = w.emit("Gather", [flat, w.constant(places.reshape(-1), "int64")], axis=len(lead))
    w.emit("Reshape", [found, w.integers(r[0].shape)], o[0])


@_writes("fold", "diagonal_matrix")
def _scattered(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    """The adjoint of `_gathered`."""
    taken = len(a["size"]) if "size" in a else 2
    shape = r[0].shape
    lead, last = shape[: len(shape) - taken], shape[len(shape) - taken :]
    places = _places(last, a).reshape(-1)
    rows = np.arange(math.prod(lead)).reshape(-1, 1) * math.prod(last)
    _scatter(w, i[0], rows + places, s[0], r[0], o[0])


def _places(last: tuple[int, ...], attrs: Mapping[str, Any]) -> Any:
    """Where in the flattened last axes the elements of the operator's result come from."""
    from service.engine.operators import REGISTRY

    numbers = np.arange(math.prod(last), dtype=np.float64).reshape(last)
    if "kernel" in attrs:
        windows = {k: attrs[k] for k in ("kernel", "strides", "dilations")}
        forward = REGISTRY["unfold"].forward
        assert forward is not None
        return forward(numbers, **windows).astype(np.int64)
    return np.diagonal(numbers, attrs["offset"]).astype(np.int64)


@_writes("pad")
def _pad(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    fill = [w.constant(a["value"], s[0].dtype)] if a["mode"] == "constant" else []
    w.emit("Pad", [i[0], w.integers(a["pads"]), *fill], o[0], mode=a["mode"])


@_writes("flip")
def _flip(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    axes = _axes(a["axis"])
    axes = list(range(len(s[0].shape))) if axes is None else axes
    count = len(axes)
    lists = [w.integers([-1] * count), w.integers([-(2**63)] * count), w.integers(axes)]
    w.emit("Slice", [i[0], *lists, w.integers([-1] * count)], o[0])


@_writes("roll")
def _roll(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    size = s[0].shape[a["axis"]]
    places = np.roll(np.arange(size), a["shift"])
    w.emit("Gather", [i[0], w.constant(places, "int64")], o[0], axis=a["axis"])


@_writes("tile")
def _tile(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    repeats = list(a["repeats"])
    missing = len(r[0].shape) - len(s[0].shape)
    x = i[0]
    if missing > 0:
        x = w.emit("Reshape", [x, w.integers([*([1] * missing), *s[0].shape])])
    repeats = [1] * (len(r[0].shape) - len(repeats)) + repeats
    w.emit("Tile", [x, w.integers(repeats)], o[0])


@_writes("conv")
def _conv(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    given = {k: list(a[k]) for k in ("strides", "pads", "dilations") if a[k] is not None}
    w.emit("Conv", i, o[0], group=a["group"], **given)


@_writes("max_pool")
def _max_pool(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    names = ("kernel_shape", "strides", "pads", "dilations")
    w.emit("MaxPool", i, o[0], **{k: list(a[k]) for k in names if a[k] is not None})


@_writes("average_pool")
def _average_pool(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    given = {k: list(a[k]) for k in ("kernel_shape", "strides", "pads") if a[k] is not None}
    count = int(a["count_include_pad"])
    w.emit("AveragePool", i, o[0], count_include_pad=count, **given)


@_writes("layer_norm")
def _layer_norm(w: _Writer, i: Any, s: Any, a: Any, o: Any, r: Any) -> None:
    axis = a["axis"] % len(s[0].shape)
    row = s[0].shape[axis:]
    names = list(i)
    for place in (1, 2):
        if place < len(names) and s[place].shape != row:
            names[place] = w.emit("Expand", [names[place], w.integers(row)])
    if len(names) == 1:
        names.append(w.constant(np.ones(row), s[0].dtype))
    w.emit("LayerNormalization", names, o[0], axis=axis, epsilon=a["epsilon"])
