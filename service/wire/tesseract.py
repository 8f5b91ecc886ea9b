"""The Tesseract protocol: a graph as a function of named arrays, with its derivatives.

Arrays travel as `{"object_type": "array", "shape": …, "dtype": …, "data": {"encoding":
"base64" | "json", "buffer": …}}`; plain numbers and nested lists are taken as well.
Floating results are float32 when every floating array that came in is, else float64.
Protocol: https://docs.pasteurlabs.ai/projects/tesseract-core/latest/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from service.engine.control import Limits
from service.engine.errors import Fault, GraphError, escaped
from service.engine.graph import Graph
from service.engine.graph_spec import Leaf
from service.engine.program import tensor_spec
from service.engine.registry import TensorSpec
from service.wire.answers import array_object
from service.wire.models import DTYPES
from service.wire.tensors import check_dtype, check_shape, dtype_faults, read_tensor

Encoding = Literal["json", "base64"]
FLOATS = ("float32", "float64")
_IN_TEXT = ("json", "raw")
_FORM = f"an array has a shape, a dtype of {', '.join(DTYPES)}, and data with a buffer"


def wanted_encoding(accept: str | None) -> Encoding:
    """How arrays go out: base64 unless Accept asks for plain `application/json`."""
    kinds = [part.partition(";")[0].strip() for part in (accept or "*/*").lower().split(",")]
    return "json" if "application/json" in kinds or "text/json" in kinds else "base64"


def _wrong(detail: str, pointer: str) -> GraphError:
    return GraphError([Fault("invalid_tensor", detail, pointer=pointer)])


def read_array(value: Any, pointer: str, limits: Limits) -> Any:
    """An array of the protocol as a tensor. Raises GraphError, LimitExceeded."""
    if isinstance(value, dict) and isinstance(value.get("data"), dict):
        value = {k: v for k, v in value.items() if k != "object_type"}
        data = value["data"]
        if data.get("encoding") in _IN_TEXT:
            return _from_text(value, pointer, limits)
        if data.get("encoding") != "base64":
            raise _wrong("the encoding is base64 or json", f"{pointer}/data/encoding")
        if data.get("compression") is not None:
            raise _wrong("compressed buffers are not taken", f"{pointer}/data/compression")
        value["data"] = {"encoding": "base64", "buffer": data.get("buffer")}
    return read_tensor(value, pointer, limits)


def _from_text(value: Mapping[str, Any], pointer: str, limits: Limits) -> Any:
    """An array whose elements are written out as numbers."""
    dtype: str = value.get("dtype", "")
    shape: list[int] = value.get("shape", [])
    if dtype not in DTYPES or not _is_shape(value.get("shape")):
        raise _wrong(_FORM, pointer)
    check_shape(shape, f"{pointer}/shape", limits, "invalid_tensor")
    tensor = read_tensor(value["data"].get("buffer"), f"{pointer}/data/buffer", limits)
    array = np.asarray(tensor)
    check_dtype(tensor, dtype, f"{pointer}/data/buffer")
    if array.size != math.prod(shape):
        raise _wrong("the elements don't fill the shape", f"{pointer}/data/buffer")
    array = array.astype(dtype).reshape(tuple(shape))
    return array if array.ndim or dtype not in ("float64", "bool") else array.item()


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int for n in value)


def read_arrays(
    given: Any, place: str, limits: Limits, leaves: Mapping[str, Leaf] | None = None
) -> dict[str, Any]:
    """Arrays by name, of the dtypes that `leaves` declare; every fault is listed."""
    if not isinstance(given, dict):
        raise _wrong("arrays by name", place)
    found: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in given.items():
        try:
            found[name] = read_array(value, f"{place}/{escaped(name)}", limits)
        except GraphError as error:
            faults += error.faults
    faults += dtype_faults(leaves or {}, found, place)
    if faults:
        raise GraphError(faults)
    return found


def floating_dtype(values: Iterable[Any]) -> Literal["float32", "float64"]:
    """float32 when there are floating arrays and all of them are float32."""
    dtypes = {v.dtype.name for v in values if isinstance(v, np.ndarray | np.generic)}
    return "float32" if "float32" in dtypes and "float64" not in dtypes else "float64"


def read_abstract(
    given: Any, graph: Graph, place: str, limits: Limits
) -> tuple[dict[str, TensorSpec], Literal["float32", "float64"]]:
    """Shapes and dtypes of inputs, and the dtype of floating results."""
    if not isinstance(given, dict):
        raise _wrong("shapes and dtypes by name", place)
    specs: dict[str, TensorSpec] = {}
    faults: list[Fault] = []
    for name, value in given.items():
        pointer = f"{place}/{escaped(name)}"
        if isinstance(value, dict) and "data" not in value:
            if value.get("dtype") not in DTYPES or not _is_shape(value.get("shape")):
                raise _wrong(f"a shape, and a dtype of {', '.join(DTYPES)}", pointer)
            shape = check_shape(value["shape"], f"{pointer}/shape", limits)
            specs[name] = TensorSpec(shape, value["dtype"])
        else:
            tensor = read_array(value, pointer, limits)
            array = np.asarray(tensor)
            faults += dtype_faults(graph.inputs, {name: tensor}, place)
            # A plain number takes the dtype of its company.
            dtype = "" if type(tensor) is float else array.dtype.name
            specs[name] = TensorSpec(array.shape, dtype)
    if faults:
        raise GraphError(faults)
    dtypes = {spec.dtype for spec in specs.values()}
    dtype = "float32" if "float32" in dtypes and "float64" not in dtypes else "float64"
    leaves = graph.inputs
    for name, spec in specs.items():
        if not spec.dtype or spec.floating:
            declared = leaves[name].dtype if name in leaves else None
            specs[name] = TensorSpec(spec.shape, declared or dtype)
    return specs, "float32" if dtype == "float32" else "float64"


def array_out(tensor: Any, encoding: Encoding) -> dict[str, Any]:
    """A tensor as the protocol has it; `service.wire.answers.encode` writes it."""
    if encoding == "base64":
        return array_object(tensor)
    array = np.asarray(tensor)
    return {
        "object_type": "array",
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "data": {"encoding": "json", "buffer": tensor},
    }


def errors(faults: Iterable[Fault], kind: str) -> list[dict[str, Any]]:
    """Faults in the form in which the protocol's servers list what is wrong with a request.

    `kind` is the prefix of the request's own members (vjp, jvp, jac).
    """
    members = {
        "cotangent": "cotangent_vector",
        "cotangents": "cotangent_vector",
        "tangents": "tangent_vector",
        "wrt": f"{kind}_inputs",
        "outputs": f"{kind}_outputs",
    }
    listed = []
    for fault in faults:
        pointer = fault.pointer or ""
        parts = pointer.removeprefix("#").split("/")[1:]
        loc: list[str | int] = ["body"] if pointer.startswith("#") else ["body", "graph"]
        if parts and pointer.startswith("#"):
            parts[0] = members.get(parts[0], parts[0])
        loc += [int(part) if part.isdecimal() else _unescaped(part) for part in parts]
        listed.append({"type": fault.code, "loc": loc, "msg": fault.detail})
    return listed


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def openapi(graph: Graph, title: str, outputs: Mapping[str, TensorSpec | None]) -> dict[str, Any]:
    """The OpenAPI document of one graph; `outputs` has None where a shape isn't known.

    Clients read from it the names of inputs and outputs, and which have derivatives.
    """
    inputs: dict[str, TensorSpec | None] = {}
    required = []
    for name, leaf in graph.inputs.items():
        if leaf.value is not None:
            inputs[name] = tensor_spec(leaf.value, leaf, "float64")
        else:
            required.append(name)
            known = leaf.shape is not None
            inputs[name] = TensorSpec(leaf.shape or (), leaf.dtype or "float64") if known else None
    dtypes = {name: leaf.dtype or "float64" for name, leaf in graph.inputs.items()}
    schemas = {
        "Apply_InputSchema": _arrays_schema(inputs, dtypes, required),
        "Apply_OutputSchema": _arrays_schema(outputs, {}, list(outputs)),
        "ApplyInputSchema": {
            "type": "object",
            "required": ["inputs"],
            "properties": {"inputs": {"$ref": "#/components/schemas/Apply_InputSchema"}},
            "differentiable_arrays": _differentiable(inputs, dtypes),
        },
        "ApplyOutputSchema": {
            "allOf": [{"$ref": "#/components/schemas/Apply_OutputSchema"}],
            "differentiable_arrays": _differentiable(outputs, {}),
        },
        "AbstractEvalInputSchema": _object({"inputs": {"type": "object"}}),
        "JacobianInputSchema": _derivative("jac", inputs, outputs),
        "JVPInputSchema": _derivative("jvp", inputs, outputs, "tangent_vector"),
        "VJPInputSchema": _derivative("vjp", inputs, outputs, "cotangent_vector"),
        "Array": ARRAY_SCHEMA,
    }
    posts = {
        "apply": ("ApplyInputSchema", "The outputs."),
        "jacobian": ("JacobianInputSchema", "Partial derivatives by output and input."),
        "jacobian_vector_product": ("JVPInputSchema", "Tangents of the outputs."),
        "vector_jacobian_product": ("VJPInputSchema", "Cotangents of the inputs."),
    }
    paths: dict[str, Any] = {
        f"/{name}": _post(name, schema, text) for name, (schema, text) in posts.items()
    }
    paths["/health"] = {"get": _operation("health", "Whether the graph is there.")}
    paths["/abstract_eval"] = _post(
        "abstract_eval", "AbstractEvalInputSchema", "Shapes and dtypes of the outputs."
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1"},
        "x-supported-output-formats": ["json", "json+base64"],
        "x-supported-gpu-transports": ["none"],
        "x-supported-compressions": ["none"],
        "paths": paths,
        "components": {"schemas": schemas},
    }


ARRAY_SCHEMA: dict[str, Any] = {
    "title": "Array",
    "anyOf": [
        {"type": ["number", "boolean", "array"]},
        {
            "type": "object",
            "required": ["shape", "dtype", "data"],
            "properties": {
                "object_type": {"const": "array"},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                "dtype": {"enum": list(DTYPES)},
                "data": {
                    "type": "object",
                    "required": ["buffer", "encoding"],
                    "properties": {"encoding": {"enum": ["base64", "json", "raw"]}, "buffer": {}},
                },
            },
        },
    ],
}
_ARRAY = {"$ref": "#/components/schemas/Array"}


def _arrays_schema(
    specs: Mapping[str, TensorSpec | None], dtypes: Mapping[str, str], required: list[str]
) -> dict[str, Any]:
    properties = {}
    for name, spec in specs.items():
        dtype = dtypes.get(name, "float64" if spec is None else spec.dtype)
        flags = ["DIFFERENTIABLE"] if dtype in FLOATS else []
        shape = None if spec is None else list(spec.shape)
        properties[name] = {**_ARRAY, "x-shape": shape, "x-dtype": dtype, "array_flags": flags}
    return _object(properties, required)


def _differentiable(
    specs: Mapping[str, TensorSpec | None], dtypes: Mapping[str, str]
) -> dict[str, Any]:
    found = {}
    for name, spec in specs.items():
        dtype = dtypes.get(name, "float64" if spec is None else spec.dtype)
        if dtype in FLOATS:
            found[name] = {"shape": None if spec is None else list(spec.shape), "dtype": dtype}
    return found


def _derivative(
    kind: str, inputs: Iterable[str], outputs: Iterable[str], vector: str | None = None
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "inputs": {"$ref": "#/components/schemas/Apply_InputSchema"},
        f"{kind}_inputs": {"type": "array", "items": {"enum": list(inputs)}},
        f"{kind}_outputs": {"type": "array", "items": {"enum": list(outputs)}},
    }
    if vector is not None:
        properties[vector] = {"type": "object", "additionalProperties": _ARRAY}
    return _object(properties)


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def _operation(name: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": summary}},
    }


def _post(name: str, schema: str, summary: str) -> dict[str, Any]:
    body = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    operation = _operation(name, summary) | {
        "requestBody": {"required": True, "content": {"application/json": body}}
    }
    return {"post": operation}
