"""The OpenAPI document: written by the command, valid, and held to the code."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from service.app import create_app, operations
from service.codes import CODES
from service.engine.operators import REGISTRY
from service.settings import Settings

FILE = Path(__file__).parent.parent / "openapi" / "openapi.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings.defaults()).openapi()


def test_the_file_is_what_the_code_describes(document: dict[str, Any]) -> None:
    written = json.loads(FILE.read_text("utf-8"))
    assert written == json.loads(json.dumps(document)), "write it with: gradient-service openapi"


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_compute_operation_is_described(document: dict[str, Any]) -> None:
    for path in operations():
        operation = document["paths"][path]["post"]
        assert operation["summary"]
        assert "200" in operation["responses"]


def test_every_operator_is_a_kind_of_node(document: dict[str, Any]) -> None:
    nodes = document["components"]["schemas"]["NodesGraph"]["properties"]["nodes"]["items"]
    names = {name for op in REGISTRY if not op.internal for name in (op.name, *op.aliases)}
    assert set(nodes["discriminator"]["mapping"]) == names
    assert nodes["discriminator"]["propertyName"] == "op"
    conv = document["components"]["schemas"]["SumNode"]["properties"]
    assert {"id", "op", "inputs", "axis", "keepdims"} == set(conv)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for item in value.values():
                yield from references(item)
        elif isinstance(value, list):
            for item in value:
                yield from references(item)

    known = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in known


@pytest.mark.parametrize("path", ["/v1/forward", "/v1/gradient", "/v1/hvp"])
def test_statuses_and_codes_are_documented(document: dict[str, Any], path: str) -> None:
    answers = document["paths"][path]["post"]["responses"]
    for status in (400, 401, 403, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504):
        answer = answers[str(status)]
        for code in CODES.values():
            if code.status == status:
                assert f"`{code.name}`" in answer["description"]
        assert "application/problem+json" in answer["content"]


def test_examples_are_shown_and_fit_their_schemas(document: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    checker = jsonschema.validators.validator_for({"$schema": _DIALECT})
    shown = 0
    for path, computing in operations().items():
        operation = document["paths"][path]["post"]
        for content in (
            operation["requestBody"]["content"]["application/json"],
            operation["responses"]["200"]["content"].get("application/json", {}),
        ):
            for name, example in content.get("examples", {}).items():
                schema = {**content["schema"], "components": document["components"]}
                checker({"$schema": _DIALECT, **schema}).validate(example["value"])
                shown += name in computing.examples
    assert shown >= 2 * 15


_DIALECT = "https://json-schema.org/draft/2020-12/schema"
