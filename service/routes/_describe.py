"""The compute operations in the OpenAPI document, beside the paths that FastAPI describes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.errors import responses
from service.http.operation import Operation

REFERENCE = "#/components/schemas/"
EXAMPLES = Path(__file__).resolve().parents[2] / "openapi" / "examples"
"""Requests with their answers, of a checkout; an installed package has none."""
_SHOWN_LINES = 50


_MODELS: dict[str, type[BaseModel]] = {}
"""The models of bodies that FastAPI doesn't read itself, by their name in the document."""


def request_body(model: type[BaseModel], **content: Any) -> dict[str, Any]:
    """A path's `requestBody` of this model; `content` may have examples."""
    _MODELS[model.__name__] = model
    schema = {"$ref": REFERENCE + model.__name__}
    return {"required": True, "content": {"application/json": {"schema": schema, **content}}}


def describe(document: dict[str, Any], operations: Iterable[Operation]) -> None:
    """Add the operations' bodies, with examples, and all bodies' schemas to a document."""
    for operation in operations:
        if operation.request is not None:
            described = document["paths"][operation.path]["post"]
            described["requestBody"] = request_body(operation.request)
            _add_examples(described, operation.examples)
    wanted: list[Any] = [(model, "validation") for model in _MODELS.values()]
    _, definitions = models_json_schema(wanted, ref_template=REFERENCE + "{model}")
    document["components"].setdefault("schemas", {}).update(definitions["$defs"])


def own_refusals(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The refusals of an endpoint that gives them a protocol's own form."""
    answers = responses(400, 404, 408, 413, 415, 422, 500, 503, 504)
    for answer in answers.values():
        answer["model"] = model
        answer["description"] = (
            "A refusal in the protocol's own form; a problem document where the path was not "
            "reached."
        )
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


def _add_examples(described: dict[str, Any], names: Iterable[str]) -> None:
    """Show examples of a request, and of what it is answered; long ones stay in their files."""
    asked = described["requestBody"]["content"]["application/json"]
    answered = described["responses"]["200"]["content"]["application/json"]
    for name in names:
        for content, part in ((asked, "request"), (answered, "response")):
            file = EXAMPLES / f"{name}.{part}.json"
            value = json.loads(file.read_text("utf-8")) if file.exists() else None
            if value is None or json.dumps(value, indent=2).count("\n") > _SHOWN_LINES:
                break
            content.setdefault("examples", {})[name] = {"value": value}
