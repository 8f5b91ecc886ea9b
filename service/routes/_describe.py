"""The compute endpoints in the OpenAPI document, beside the paths that FastAPI describes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from service.errors import responses
from service.routes._endpoint import Endpoint
from service.wire.models import REFERENCE, TENSOR_SCHEMAS, request_model, with_components

EXAMPLES = Path(__file__).resolve().parents[2] / "openapi" / "examples"
"""Requests with their answers, of a checkout; an installed package has none."""


def describe(document: dict[str, Any], endpoints: Iterable[Endpoint]) -> None:
    """Add the endpoints' paths and the schemas of their bodies to an OpenAPI document."""
    described = [endpoint for endpoint in endpoints if hasattr(endpoint, "response")]
    wanted: list[Any] = []
    for endpoint in described:
        wanted.append((request_model(endpoint.request), "validation"))
        wanted.append((endpoint.response, "validation"))
        if hasattr(endpoint, "refusal"):
            wanted.append((endpoint.refusal, "validation"))
    _, definitions = models_json_schema(wanted, ref_template=REFERENCE + "{model}")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(with_components(definitions.get("$defs", {})))
    schemas.update(TENSOR_SCHEMAS)
    paths = document.setdefault("paths", {})
    for endpoint in described:
        paths.setdefault(endpoint.path, {})["post"] = _operation(endpoint)
    document["paths"] = _gathered(paths, schemas)


def own_refusals(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The refusals of an endpoint that gives them a protocol's own form, as `schema` says.

    What is refused before the endpoint is known has a problem document there, too.
    """
    answers = responses(400, 404, 408, 413, 415, 422, 500, 503, 504)
    for answer in answers.values():
        answer["content"]["application/json"] = {"schema": schema}
    return answers


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


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    asked, answered = _examples(endpoint)
    request = {"schema": {"$ref": REFERENCE + request_model(endpoint.request).__name__}}
    response = {"schema": {"$ref": REFERENCE + endpoint.response.__name__}}
    answers: dict[str, Any] = {
        "200": {
            "description": "The result.",
            "content": {
                "application/json": response | answered,
                **getattr(endpoint, "contents", {}),
            },
        }
    }
    if hasattr(endpoint, "refusal"):
        refusals = own_refusals({"$ref": REFERENCE + endpoint.refusal.__name__})
    else:
        refusals = responses(404)
    answers.update({str(status): answer for status, answer in refusals.items()})
    return {
        "tags": ["compute"],
        "operationId": endpoint.name.replace("-", "_"),
        "summary": endpoint.summary,
        "description": endpoint.description,
        "requestBody": {
            "required": True,
            "content": {"application/json": request | asked},
        },
        "responses": answers,
    }


def _examples(endpoint: Endpoint) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `examples` members of the request and of the answer."""
    asked, answered = {}, {}
    for name in endpoint.examples:
        request = EXAMPLES / f"{name}.request.json"
        response = EXAMPLES / f"{name}.response.json"
        if request.exists() and response.exists():
            title = name.replace("-", " ")
            asked[name] = {"summary": title, "value": json.loads(request.read_text("utf-8"))}
            answered[name] = {"summary": title, "value": json.loads(response.read_text("utf-8"))}
    if not asked:
        return {}, {}
    return {"examples": asked}, {"examples": answered}
