"""POST /v1/diagram, `gradient-service diagram`, and the page at /."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import build
from tests.routes.calling import Caller

GRAPH = {"expression": "q = x + y\nf = q * z"}
INPUTS = {"x": -2, "y": 5, "z": -4}


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    caller = Caller()
    yield caller
    caller.close()


@pytest.mark.parametrize(
    ("form", "media", "start"),
    [
        ("svg", "image/svg+xml", "<svg "),
        ("dot", "text/vnd.graphviz", "digraph "),
        ("mermaid", "text/vnd.mermaid", "flowchart LR"),
        ("node-link", "application/json", '{"directed":true'),
    ],
)
def test_every_format_comes_with_its_media_type(
    call: Caller, form: str, media: str, start: str
) -> None:
    answer = call("POST", "/v1/diagram", json={"graph": GRAPH, "inputs": INPUTS, "format": form})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media)
    assert answer.text.startswith(start)


def test_svg_is_what_one_gets_without_asking(call: Caller) -> None:
    answer = call("POST", "/v1/diagram", json={"graph": GRAPH, "inputs": INPUTS})
    ElementTree.fromstring(answer.content)
    assert "−12" in answer.text


def test_a_browser_may_ask_for_an_image(call: Caller) -> None:
    answer = call(
        "POST",
        "/v1/diagram",
        json={"graph": GRAPH, "inputs": INPUTS},
        headers={"accept": "image/*"},
    )
    assert answer.status_code == 200


def test_the_structure_is_drawn_without_values(call: Caller) -> None:
    answer = call("POST", "/v1/diagram", json={"graph": GRAPH, "values": False})
    assert answer.status_code == 200
    assert "above: value" not in answer.text


def test_missing_values_and_wrong_formats_are_refused_as_problems(call: Caller) -> None:
    missing = call("POST", "/v1/diagram", json={"graph": GRAPH})
    assert missing.status_code == 422
    assert missing.json()["code"] == "missing_input"
    wrong = call("POST", "/v1/diagram", json={"graph": GRAPH, "inputs": INPUTS, "format": "gif"})
    assert wrong.status_code == 422
    assert wrong.headers["content-type"] == "application/problem+json"


def test_the_page_is_served_unless_the_settings_say_no(call: Caller) -> None:
    page = call("GET", "/")
    assert page.status_code == 200
    assert "style-src 'self'" in page.headers["content-security-policy"]
    without = Caller(playground=False)
    assert without("GET", "/").status_code == 404
    without.close()


def test_the_page_asks_for_nothing_inline_or_elsewhere() -> None:
    folder = Path(__file__).parents[2] / "service" / "static" / "playground"
    page = (folder / "index.html").read_text("utf-8")
    assert "style=" not in page
    assert "<script>" not in page
    assert " on" + "click" not in page
    for file in folder.iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, file.name
        assert "https://" not in text, file.name
        assert "innerHTML" not in text, file.name


def test_the_command_draws_by_the_suffix(tmp_path: Path) -> None:
    for suffix, start in ((".svg", "<svg"), (".dot", "digraph"), (".json", '{"directed"')):
        file = tmp_path / f"circuit{suffix}"
        arguments = ["diagram", "-e", "f = x * x", "-i", "x=3", "-o", str(file)]
        assert CliRunner().invoke(build(), arguments).exit_code == 0
        assert file.read_text("utf-8").startswith(start)


def test_the_command_takes_a_graph_a_request_or_source_text(tmp_path: Path) -> None:
    for content in (
        json.dumps({"graph": GRAPH, "inputs": INPUTS}),
        json.dumps({"nodes": [{"id": "x", "op": "input", "value": 1}], "output": "x"}),
        "x = 3\nf = exp(x)\n",
    ):
        file = tmp_path / "graph"
        file.write_text(content, encoding="utf-8")
        result = CliRunner().invoke(build(), ["diagram", str(file), "--format", "dot"])
        assert result.exit_code == 0, result.output
        assert result.output.startswith("digraph")


def test_the_command_explains_in_words_code_and_formulas() -> None:
    for form, said in (
        ("text", "max routed the gradient 2 to z, which was larger; w got 0."),
        ("code", "dz = "),
        ("latex", r"\frac{\partial f}{\partial z}"),
        ("json", '"backward":['),
    ):
        arguments = ["explain", "-e", "f = 2 * (x * y + max(z, w))", "--format", form]
        for value in ("x=3", "y=-4", "z=2", "w=-1"):
            arguments += ["-i", value]
        result = CliRunner().invoke(build(), arguments)
        assert result.exit_code == 0, result.output
        assert said in result.output


@pytest.mark.parametrize("output", ["", "nothing", "q.0", "f.1"])
@pytest.mark.parametrize("values", [True, False])
def test_an_output_that_is_none_is_said(call: Caller, output: str, values: bool) -> None:
    body = {
        "graph": {"expression": "q = x + y\nf = q * z"},
        "inputs": {"x": -2, "y": 5, "z": -4},
        "output": output,
        "values": values,
    }
    assert call("POST", "/v1/diagram", json=body).status_code == 422
