"""The guide: its commands answer as shown, its links lead somewhere, it is served and searched."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.docs import PAGES
from tests.serving import ROOT, Server, serving

DOCS = ROOT / "docs"
FILES = sorted(DOCS.glob("*.md"))
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
SHOWN = [
    (path.name, command, answer)
    for path in FILES
    for command, answer in re.findall(r"```sh\n(.*?)```\n```json\n(.*?)```", path.read_text(), re.S)
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("docs")) as running:
        yield running


@pytest.mark.parametrize("name", PAGES)
def test_pages_made_from_the_code_are_as_it_is(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "write them with: make docs"


@pytest.mark.parametrize(("page", "command", "answer"), SHOWN)
def test_commands_answer_as_shown(page: str, command: str, answer: str, server: Server) -> None:
    done = subprocess.run(
        ["bash", "-c", command.replace("http://127.0.0.1:8000", server.url)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(answer), page


def test_programs_of_the_page_on_clients_run(server: Server, tmp_path: Path) -> None:
    text = (DOCS / "clients.md").read_text().replace("http://127.0.0.1:8000", server.url)
    (python,) = re.findall(r"```python\n(.*?)```", text, re.S)
    done = subprocess.run(
        [sys.executable, "-c", python], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines()[0].startswith("6.0 "), done.stderr
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (script,) = re.findall(r"```js\n(.*?)```", text, re.S)
    (tmp_path / "page.mjs").write_text(script)
    done = subprocess.run(
        [node, tmp_path / "page.mjs"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "{ x: -4, y: -4, z: 3 }\n", done.stderr


@pytest.mark.parametrize("path", [*FILES, *TOP], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if target.startswith(("http", "../docs")):
            continue
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", [*FILES, *TOP], ids=lambda path: path.name)
def test_files_and_targets_that_are_named_exist(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(
        r"`((?:service|deploy|examples|openapi|clients|docs|tests)/[\w./-]*)`", text
    ):
        assert (ROOT / name).exists(), name
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`make ([a-z-]+)", text)):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_every_page_is_in_the_contents() -> None:
    listed = set(re.findall(r"\]\(([a-z-]+\.md)\)", (DOCS / "index.md").read_text()))
    assert listed == {path.name for path in FILES} - {"index.md"}


def test_the_guide_is_served_whole(server: Server) -> None:
    with httpx.Client(base_url=server.url) as client:
        front = client.get("/guide")
        assert front.status_code == 200
        assert front.headers["content-security-policy"].startswith("default-src 'none'")
        for path in FILES:
            page = client.get("/guide" if path.stem == "index" else f"/guide/{path.stem}")
            assert page.status_code == 200
            base = "/guide/" if path.stem != "index" else "/"
            for link in re.findall(r'(?:href|src)="([^"#]+)', page.text):
                if link.startswith("http"):
                    continue
                answer = client.get(httpx.URL(server.url + base).join(link))
                assert answer.status_code == 200, (path.name, link)
        assert client.get("/guide/none").status_code == 404
        assert client.get("/guide/pictures/none.svg").status_code == 404


@pytest.mark.parametrize(
    ("query", "page"),
    [("traceparent", "operations"), ("--resume", "bulk"), ("GRADIENT_WORKERS", "settings")],
)
def test_the_guide_is_searched(server: Server, query: str, page: str) -> None:
    found = httpx.get(f"{server.url}/guide", params={"q": query}).text
    assert f'href="guide/{page}#' in found
    assert "<script>" not in httpx.get(f"{server.url}/guide", params={"q": "<script>"}).text


def test_the_drawing_is_the_service_s_own(server: Server) -> None:
    body = {
        "graph": {"expression": "q = x + y\nf = q * z"},
        "inputs": {"x": -2, "y": 5, "z": -4},
    }
    drawn = httpx.post(f"{server.url}/v1/diagram", json=body).text
    assert (DOCS / "pictures" / "circuit.svg").read_text() == drawn


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200
    assert os.path.getsize(DOCS / "pictures" / "page.png") < 400_000
