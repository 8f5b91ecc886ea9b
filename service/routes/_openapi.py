"""The OpenAPI document: FastAPI's, the compute operations, and what the pipeline adds to all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.errors import problem_schemas, responses
from service.http.operation import Operation
from service.routes._describe import describe
from service.routes._portable import portable, share_refusals

_EVERYWHERE = (401, 403, 406, 429, 500)
_WITH_BODY = (400, 408, 413, 415, 422)
_COMPUTED = (503, 504)
_OPEN = frozenset({"/healthz", "/readyz"})


def openapi_document(api: FastAPI, computing: Iterable[Operation] = ()) -> dict[str, Any]:
    """The OpenAPI document of `api` and of its operations.

    With the answers that the pipeline may give on any path.
    """
    made = get_openapi(
        title=api.title,
        version=api.version,
        summary=api.summary,
        description=api.description,
        routes=api.routes,
        tags=api.openapi_tags,
        license_info=api.license_info,
        separate_input_output_schemas=False,
    )
    describe(made, computing)
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(problem_schemas())
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    components["headers"] = {
        "RequestId": {
            "description": "The request's id: the client's own, or a new one.",
            "schema": {"type": "string"},
        }
    }
    for path, operations in made.get("paths", {}).items():
        for operation in operations.values():
            _complete(path, operation)
    for name in ("HTTPValidationError", "ValidationError"):
        if not _mentions(made, f"#/components/schemas/{name}"):
            schemas.pop(name, None)
    # Keys are optional: a service without keys is open.
    made["security"] = [{}, {"bearer": []}, {"apiKey": []}]
    made = {key: value if key == "info" else portable(value) for key, value in made.items()}
    share_refusals(made)
    return made


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Give an operation the refusals that it may answer with, unless it says its own."""
    statuses: tuple[int, ...] = (500,) if path in _OPEN else _EVERYWHERE
    if "requestBody" in operation:
        statuses += _WITH_BODY + _COMPUTED
    answers = operation.setdefault("responses", {})
    invalid = answers.get("422", {}).get("content", {}).get("application/json", {})
    if "HTTPValidationError" in str(invalid):
        del answers["422"]
        statuses += (422,)
    for status, answer in responses(*statuses).items():
        answers.setdefault(str(status), answer)
    for answer in answers.values():
        if isinstance(answer, dict) and "$ref" not in answer:
            answer.setdefault("headers", {}).setdefault("x-request-id", dict(_REQUEST_ID))
    operation["responses"] = dict(sorted(answers.items()))
    if path in _OPEN:
        operation["security"] = []


_REQUEST_ID = {"$ref": "#/components/headers/RequestId"}


def _mentions(value: Any, reference: str) -> bool:
    if isinstance(value, Mapping):
        return value.get("$ref") == reference or any(
            _mentions(item, reference) for item in value.values()
        )
    if isinstance(value, list):
        return any(_mentions(item, reference) for item in value)
    return False
