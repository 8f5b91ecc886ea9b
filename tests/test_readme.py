"""Everything that the README shows is run here, and answers as shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import ROOT, Server, serving

README = (ROOT / "README.md").read_text()
SHOWN = re.findall(r"```sh\n(.*?)```\n```json\n(.*?)```", README, re.S)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("readme"), drain_seconds="0") as running:
        yield running


def test_readme_shows_commands_with_their_answers() -> None:
    assert len(SHOWN) >= 5
    assert README.count("```sh") == len(SHOWN)


@pytest.mark.parametrize(("command", "answer"), SHOWN, ids=range(len(SHOWN)))
def test_command_answers_as_shown(command: str, answer: str, server: Server) -> None:
    text = command.replace("http://127.0.0.1:8000", server.url)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", text],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(answer)


def test_named_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^    )make ([a-z-]+)", README, re.M)):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_named_files_exist() -> None:
    for name in re.findall(r"`((?:service|deploy|examples|openapi)/[\w./-]*)`", README):
        assert (ROOT / name).exists(), name
