"""The compute operations in the OpenAPI document, beside the paths that FastAPI describes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from service.errors import responses
from service.http.operation import Operation
from service.wire.models import REFERENCE, TENSOR_SCHEMAS, request_model, with_components

EXAMPLES = Path(__file__).resolve().parents[2] / "openapi" / "examples"
"""Requests with their answers, of a checkout; an installed package has none."""


def describe(document: dict[str, Any], operations: Iterable[Operation]) -> None:
    """Add the operations' paths and the schemas of their bodies to an OpenAPI document."""
    described = [operation for operation in operations if operation.request is not None]
    wanted: list[Any] = []
    for operation in described:
        wanted.append((request_model(operation.request), "validation"))
        wanted.append((operation.response, "validation"))
        if operation.refusal is not None:
            wanted.append((operation.refusal, "validation"))
    _, definitions = models_json_schema(wanted, ref_template=REFERENCE + "{model}")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(with_components(definitions.get("$defs", {})))
    schemas.update(TENSOR_SCHEMAS)
    paths = document.setdefault("paths", {})
    for operation in described:
        paths.setdefault(operation.path, {})["post"] = _operation(operation)
    document["paths"] = _gathered(paths, schemas)


def own_refusals(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The refusals of an endpoint that gives them a protocol's own form, as `schema` says.

    What is refused before the endpoint is known has a problem document there, too.
    """
    answers = responses(400, 404, 408, 413, 415, 422, 500, 503, 504)
    for answer in answers.values():
        answer["content"]["application/json"] = {"schema": schema}
    return answers


def query_parameter(name: str, description: str, default: str | None = None) -> dict[str, Any]:
    """An optional parameter of the query, as the OpenAPI document has it."""
    schema: dict[str, Any] = {"type": "string", "title": name.capitalize()}
    if default is None:
        schema = {"anyOf": [{"type": "string"}, {"type": "null"}], "title": name.capitalize()}
    else:
        schema["default"] = default
    return {
        "name": name,
        "in": "query",
        "required": False,
        "schema": {**schema, "description": description},
        "description": description,
    }


def _gathered(value: Any, schemas: dict[str, Any]) -> Any:
    """`value` with the definitions inside of its schemas moved to the document's components."""
    if isinstance(value, list):
        return [_gathered(item, schemas) for item in value]
    if not isinstance(value, dict):
        return value
    for name, schema in value.get("$defs", {}).items():
        schemas.setdefault(name, _gathered(schema, schemas))
    made = {key: _gathered(item, schemas) for key, item in value.items() if key != "$defs"}
    reference = made.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        made["$ref"] = REFERENCE + reference.removeprefix("#/$defs/")
    return made


def _operation(operation: Operation) -> dict[str, Any]:
    asked, answered = _examples(operation)
    request = {"schema": {"$ref": REFERENCE + request_model(operation.request).__name__}}
    response = {"schema": {"$ref": REFERENCE + operation.response.__name__}}
    text = {kind: _TEXT for kind in operation.media or () if "json" not in kind}
    answers: dict[str, Any] = {
        "200": {
            "description": "The result.",
            "content": {
                "application/json": response | answered,
                **text,
            },
        }
    }
    if operation.refusal is not None:
        refusals = own_refusals({"$ref": REFERENCE + operation.refusal.__name__})
    else:
        refusals = responses(404)
    answers.update({str(status): answer for status, answer in refusals.items()})
    return {
        "tags": ["compute"],
        "operationId": operation.name.replace("-", "_"),
        "summary": operation.summary,
        "description": operation.description,
        "requestBody": {
            "required": True,
            "content": {"application/json": request | asked},
        },
        "responses": answers,
    }


_TEXT = {"schema": {"type": "string"}}


def _examples(operation: Operation) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `examples` members of the request and of the answer."""
    asked, answered = {}, {}
    for name in operation.examples:
        request = EXAMPLES / f"{name}.request.json"
        response = EXAMPLES / f"{name}.response.json"
        if request.exists() and response.exists():
            title = name.replace("-", " ")
            asked[name] = {"summary": title, "value": json.loads(request.read_text("utf-8"))}
            answered[name] = {"summary": title, "value": json.loads(response.read_text("utf-8"))}
    if not asked:
        return {}, {}
    return {"examples": asked}, {"examples": answered}
