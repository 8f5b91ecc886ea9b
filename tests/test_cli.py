"""The command line as a person or a script uses it: in a process of its own."""

import json
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
