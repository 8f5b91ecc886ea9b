"""The command line as a person or a script uses it: in a process of its own."""

import json
import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from service.settings import ApiKey

CIRCUIT = b'{"graph":{"expression":"f = (x + y) * z"},"inputs":{"x":-2,"y":5,"z":-4}}'


def run(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).resolve().parent.parent,
    )


def test_a_gradient_from_standard_input_and_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_bytes(CIRCUIT)
    for done in (run("gradient", data=CIRCUIT), run("gradient", str(file))):
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["gradients"] == {"x": -4.0, "y": -4.0, "z": 3.0}
        assert done.stderr == b""


def test_a_refusal_is_a_problem_on_standard_error() -> None:
    done = run("gradient", data=b'{"graph":{"expression":"frob(x)"}}')
    assert done.returncode == 1
    assert done.stdout == b""
    problem = json.loads(done.stderr)
    assert (problem["status"], problem["code"]) == (422, "unknown_operator")


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("gradient", "--nonsense"), ("gradient", "/no/such/file")]
)
def test_a_command_that_is_not_written_right(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert b"Usage" in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


def test_a_setting_that_is_wrong_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIENT_MAX_NODES", "secret")
    done = run("gradient", data=CIRCUIT)
    assert done.returncode == 1
    assert b"max_nodes" in done.stderr
    assert b"secret" not in done.stderr


def test_help_is_quick_and_lists_the_commands() -> None:
    started = time.perf_counter()
    done = run("--help")
    seconds = time.perf_counter() - started
    for command in (b"serve", b"gradient", b"check", b"grade", b"diagram", b"operators"):
        assert command in done.stdout
    assert seconds < 5
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, service.cli; service.cli.build(); heavy = 'numpy', 'fastapi', 'pydantic';"
            "print([name for name in heavy if name in sys.modules])",
        ],
        capture_output=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert loaded.stdout.strip() == b"[]"


def test_the_catalogue_lists_and_describes() -> None:
    assert b"matmul" in run("operators").stdout
    assert b"gradient:" in run("operators", "mul").stdout
    wrong = run("operators", "matmull")
    assert wrong.returncode == 2
    assert b"matmul" in wrong.stderr


def test_a_key_is_shown_once_and_its_entry_holds_only_its_hash() -> None:
    done = run("key", "course", "--scope", "compute", "--scope", "grade", "--rate", "5")
    key = done.stderr.decode().removeprefix("key: ").strip()
    entry = ApiKey.model_validate_json(done.stdout)
    assert entry.sha256 == sha256(key.encode()).hexdigest()
    assert entry.scopes == ("compute", "grade")
    assert key.encode() not in done.stdout
    assert run("key", "course", "--scope", "everything").returncode == 2


def test_the_openapi_document_does_not_depend_on_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = run("openapi").stdout
    monkeypatch.setenv("GRADIENT_ROOT_PATH", "/elsewhere")
    monkeypatch.setenv("GRADIENT_MAX_NODES", "5")
    assert run("openapi", "--output", str(tmp_path / "openapi.json")).returncode == 0
    assert (tmp_path / "openapi.json").read_bytes() == plain


def run_on_a_terminal(*arguments: str) -> tuple[int, str]:
    """The exit code, and what a person reads on standard error."""
    import pty

    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=follower,
            timeout=60,
            check=False,
            cwd=Path(__file__).resolve().parent.parent,
        )
        os.close(follower)
        said = b""
        try:
            while chunk := os.read(leader, 65_536):
                said += chunk
        except OSError:
            pass
        return done.returncode, said.decode()
    finally:
        os.close(leader)


TAKE_A_GRAPH = [
    *("forward", "gradient", "jacobian", "hessian", "check", "analyze"),
    *("gradient-graph", "explain", "diagram"),
]
TEXT = ("-e", "f = x * y", "-i", "x=3", "-i", "y=2")


@pytest.mark.parametrize("command", TAKE_A_GRAPH)
def test_a_graph_is_source_text_and_values_everywhere(command: str) -> None:
    done = run(command, *TEXT)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_values_are_put_into_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_bytes(CIRCUIT)
    done = run("gradient", str(file), "-i", "z=10")
    assert json.loads(done.stdout)["gradients"]["x"] == 10.0


def test_a_refusal_is_sentences_on_a_terminal_and_json_when_asked() -> None:
    code, said = run_on_a_terminal("gradient", "-e", "f = (x + y", "-i", "x=1")
    assert code == 1
    assert said.startswith("line 1, column 5: ")
    assert "{" not in said
    code, said = run_on_a_terminal("--errors", "json", "gradient", "-e", "f = (x + y")
    assert json.loads(said)["code"] == "syntax"
    done = run("--errors", "text", "gradient", "-e", "frob(x)", "-i", "x=1")
    assert b"frob" in done.stderr
    assert not done.stderr.startswith(b"{")


@pytest.mark.parametrize("command", [("gradient",), ("gradient", "-i", "x=1"), ("explain",)])
def test_broken_json_is_shown_at_its_line_and_column(command: tuple[str, ...]) -> None:
    done = run(*command, data=b'{"graph": {"expression": "x"},\n "inputs": {"x": 1,}}')
    problem = json.loads(done.stderr)
    assert (problem["code"], problem["line"]) == ("malformed_json", 2)


def test_the_version() -> None:
    from service import __version__

    assert run("--version").stdout.decode() == f"gradient-service {__version__}\n"
    assert b"completion" in run("--help").stdout


def test_a_diagram_is_of_the_kind_that_its_name_says(tmp_path: Path) -> None:
    for name, starts in {"c.svg": b"<svg", "c.png": b"\x89PNG", "c.mmd": b"flowchart"}.items():
        done = run("diagram", *TEXT, "-o", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_bytes().startswith(starts)
    done = run("diagram", *TEXT, "-o", str(tmp_path / "c.jpg"))
    assert done.returncode == 2
    assert not (tmp_path / "c.jpg").exists()
