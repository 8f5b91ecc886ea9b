"""The operator catalogue: all of it, from the registry, with examples that run."""

import json
import re
from collections.abc import Iterator

import pytest

from service.engine.operators import REGISTRY
from service.routes.compute import router
from service.wire.catalogue import OperatorEntry, OperatorList, entry, page
from service.wire.context import Context
from tests.routes.calling import Caller
from tests.serving import ROOT

NAMES = [operator.name for operator in REGISTRY if not operator.internal]
LEAVES = {operator.name for operator in REGISTRY if operator.group == "leaf"}
FORWARD = next(operation for operation in router.operations if operation.name == "forward")


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    caller = Caller()
    yield caller
    caller.close()


def test_the_catalogue_lists_every_operator(call: Caller) -> None:
    answer = call("GET", "/v1/operators")
    listed = OperatorList.model_validate_json(answer.content)
    assert sorted(operator.name for operator in listed.operators) == sorted(NAMES)
    assert listed.count == len(NAMES)
    assert "output_of" not in answer.text


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_an_operator_runs_as_shown(call: Caller, name: str) -> None:
    answer = call("GET", f"/v1/operators/{name}")
    shown = OperatorEntry.model_validate_json(answer.content)
    assert shown.name == name
    if REGISTRY[name].group == "leaf":
        return
    assert shown.example is not None
    request = json.dumps(shown.example.request).encode()
    assert json.loads(FORWARD.compute(request, Context())) == shown.example.response


def test_the_page_is_what_the_registry_says() -> None:
    written = (ROOT / "docs" / "operators.md").read_text("utf-8")
    assert written == page(), "write it with: gradient-service operators --markdown"
    listed = set(re.findall(r"`([a-z0-9_]+)`", written))
    assert listed >= {n for name in NAMES for n in (name, *REGISTRY[name].aliases)} - LEAVES


def test_an_alias_leads_to_its_operator(call: Caller) -> None:
    assert call("GET", "/v1/operators/mul").json()["name"] == "multiply"


def test_an_entry_says_all_about_an_operator(call: Caller) -> None:
    made = call("GET", "/v1/operators/sum").json()
    assert made["arity"] == {"min": 1, "max": 1}
    assert made["attributes"]["keepdims"] == {
        "json_schema": {"type": "boolean"},
        "required": False,
        "description": "keep the reduced axes with size 1",
        "default": False,
    }
    assert made["pattern"] == "distributor"
    assert made["formula"]
    assert made["gradient_formula"]
    assert entry(REGISTRY["max"], example=False)["gate"] == "maximum"
    assert entry(REGISTRY["max"], example=False)["arity"]["max"] is None


def test_an_operator_that_is_not_there_is_a_problem_with_a_suggestion(call: Caller) -> None:
    answer = call("GET", "/v1/operators/sigmod")
    assert answer.status_code == 404
    assert answer.json()["code"] == "operator_not_found"
    assert "sigmoid" in answer.json()["detail"]
    assert call("GET", "/v1/operators/output_of").status_code == 404
