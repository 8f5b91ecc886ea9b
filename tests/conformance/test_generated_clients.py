"""Clients that generators make of the OpenAPI document: generated, compiled, run; and linters.

`make test-clients` sets up the generators, which need Node.js and Java, in .clients.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import ROOT, Server, serving

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]
DOCUMENT = ROOT / "openapi" / "openapi.json"
PROGRAMS = Path(__file__).parent / "clients"
TOOLS = ROOT / ".clients"
STRICT = ("--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "false")


def run(*command: str | Path, cwd: Path) -> str:
    """What a command of the tools prints; it must succeed."""
    environment = {**os.environ, "PATH": f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def node(name: str) -> Path:
    return TOOLS / "node_modules" / ".bin" / name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder from which JavaScript packages are found."""
    (tmp_path / "node_modules").symlink_to(TOOLS / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


def compiled_and_run(folder: Path, program: str, server: Server) -> None:
    run(node("tsc"), *STRICT, program, cwd=folder)
    assert run("node", program.replace(".ts", ".js"), server.url, cwd=folder) == "ok\n"


def test_openapi_typescript_with_openapi_fetch(folder: Path, server: Server) -> None:
    run(node("openapi-typescript"), DOCUMENT, "-o", "schema.d.ts", cwd=folder)
    shutil.copy(PROGRAMS / "openapi_fetch.ts", folder)
    compiled_and_run(folder, "openapi_fetch.ts", server)


def test_openapi_python_client(folder: Path, server: Server) -> None:
    said = run(
        "openapi-python-client", "generate", "--path", DOCUMENT, "--output-path", "made", cwd=folder
    )
    # Lines of JSON are the one media type that it has no code for.
    left_out = [line for line in said.splitlines() if line.startswith("WARNING")]
    assert left_out == ["WARNING parsing POST /v1/grade/batch within grading."], said
    shutil.copy(PROGRAMS / "with_openapi_python_client.py", folder / "made")
    program = run(
        TOOLS / "bin" / "python", "with_openapi_python_client.py", server.url, cwd=folder / "made"
    )
    assert program == "ok\n"


def test_openapi_generator_for_python(folder: Path, server: Server) -> None:
    run(
        "openapi-generator-cli",
        "generate",
        "-i",
        DOCUMENT,
        "-g",
        "python",
        "-o",
        "made",
        cwd=folder,
    )
    python, made = TOOLS / "bin" / "python", folder / "made"
    run(python, "-m", "compileall", "-q", "openapi_client", cwd=made)
    shutil.copy(PROGRAMS / "with_openapi_generator.py", made)
    assert run(python, "with_openapi_generator.py", server.url, cwd=made) == "ok\n"


def test_openapi_generator_for_typescript_fetch(folder: Path, server: Server) -> None:
    extension = "--additional-properties=importFileExtension=.js"
    run(
        *("openapi-generator-cli", "generate", "-i", DOCUMENT, "-g", "typescript-fetch"),
        *("-o", ".", extension),
        cwd=folder,
    )
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(PROGRAMS / "typescript_fetch.ts", folder)
    compiled_and_run(folder, "typescript_fetch.ts", server)


def test_redocly_has_no_errors(folder: Path) -> None:
    run(node("redocly"), "lint", DOCUMENT, cwd=folder)


def test_spectral_has_no_errors(folder: Path) -> None:
    rules = PROGRAMS / "spectral.yaml"
    said = run(node("spectral"), "lint", "--ruleset", rules, DOCUMENT, cwd=folder)
    assert "(0 errors" in said or "No results" in said
