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
    assert written.pop("servers") == [{"url": "/"}]
    assert written == json.loads(json.dumps(document)), "write it with: gradient-service openapi"


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_compute_operation_is_described(document: dict[str, Any]) -> None:
    for path in operations():
        operation = document["paths"][path]["post"]
        assert operation["summary"]
        assert "200" in operation["responses"]


def test_it_is_short(document: dict[str, Any]) -> None:
    assert FILE.read_text("utf-8").count("\n") < 9_000


def test_a_node_is_one_schema_with_the_attributes_of_every_operator(
    document: dict[str, Any],
) -> None:
    node = document["components"]["schemas"]["Node"]
    operators = [op for op in REGISTRY if not op.internal]
    names = {name for op in operators for name in (op.name, *op.aliases)}
    assert set(node["properties"]["op"]["enum"]) == names
    for op in operators:
        for name in op.attributes:
            assert f"`{op.name}`" in node["properties"][name]["description"]
    assert node["required"] == ["id", "op"]


def test_generators_are_left_no_choice(document: dict[str, Any]) -> None:
    """Unions are `oneOf`, numbers have a width, and nothing is required by having a default."""
    for place, schema in _walk(document["components"]["schemas"], ""):
        if not place.endswith("/properties"):
            assert not {"anyOf", "allOf", "default"} & schema.keys(), place
        kinds = schema.get("type")
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            width = {"number": "double", "integer": "int64"}.get(str(kind))
            assert schema.get("format") == width or width is None, place


def test_no_schema_refers_to_itself(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def follow(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join([*path, name])
        for _, schema in _walk(schemas[name], ""):
            if "$ref" in schema:
                follow(schema["$ref"].rpartition("/")[2], (*path, name))

    for name in schemas:
        follow(name, ())


def test_every_example_fits_the_schema_that_it_stands_in(document: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    checker = jsonschema.validators.validator_for({"$schema": _DIALECT})
    seen = 0
    for place, schema in _walk(document, ""):
        inner = schema.get("schema", schema)
        examples = list(schema.get("examples", ()))
        if isinstance(schema.get("examples"), dict):
            examples = [one["value"] for one in schema["examples"].values()]
        if "example" in schema:
            examples.append(schema["example"])
        for example in examples:
            whole = {"$schema": _DIALECT, **inner, "components": document["components"]}
            assert checker(whole).is_valid(example), (place, example)
            seen += 1
    assert seen > 40


def _walk(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a document with its place, examples' own left out."""
    if isinstance(value, dict):
        yield place, value
        for key, item in value.items():
            if key not in ("example", "examples", "enum"):
                yield from _walk(item, f"{place}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, place)


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

    for reference in references(document):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in document["components"][kind]


@pytest.mark.parametrize("path", ["/v1/forward", "/v1/gradient", "/v1/hvp"])
def test_statuses_and_codes_are_documented(document: dict[str, Any], path: str) -> None:
    answers = document["paths"][path]["post"]["responses"]
    for status in (400, 401, 403, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504):
        shared = answers[str(status)]["$ref"].rpartition("/")[2]
        answer = document["components"]["responses"][shared]
        for code in CODES.values():
            if code.status == status:
                assert f"`{code.name}`" in answer["description"]
        assert "application/problem+json" in answer["content"]


def test_examples_are_shown(document: dict[str, Any]) -> None:
    for path, computing in operations().items():
        if computing.examples:
            content = document["paths"][path]["post"]["requestBody"]["content"]
            assert set(content["application/json"]["examples"]) & set(computing.examples), path


_DIALECT = "https://json-schema.org/draft/2020-12/schema"
