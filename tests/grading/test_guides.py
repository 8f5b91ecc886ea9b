"""The guides for graders, each run as its grader runs it, against a real service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from service.grading.formats import FORMATS
from tests.grading.test_diagnosis import staged
from tests.serving import ROOT, Server, serving

EXAMPLES = ROOT / "openapi" / "examples"
TASK = EXAMPLES / "grading" / "staged.task.json"

STUDENT = """
import math

def backward(x, y):
    sigy = 1 / (1 + math.exp(-y))
    num = x + sigy
    sigx = 1 / (1 + math.exp(-x))
    xpy = x + y
    den = sigx + xpy ** 2
    invden = 1 / den
    print("I am computing")
    dnum, dinvden = invden, num
    dden = SIGN / den ** 2 * dinvden
    dsigx = dxpysqr = dden
    dxpy = 2 * xpy * dxpysqr
    dx = dxpy + (1 - sigx) * sigx * dsigx + dnum
    dsigy = dnum
    dy = dxpy + (1 - sigy) * sigy * dsigy
    return {"num": dnum, "invden": dinvden, "den": dden, "xpysqr": dxpysqr, "xpy": dxpy,
            "sigx": dsigx, "sigy": dsigy, "x": dx, "y": dy}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service")
    tasks = folder / "tasks"
    tasks.mkdir()
    shutil.copy(TASK, tasks / "staged.json")
    with serving(folder, tasks_dir=str(tasks)) as running:
        yield running


def environment(**more: str) -> dict[str, str]:
    """Without settings of the service; with its command and this Python found first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GRADIENT_")}
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), **more}


def autograde(
    folder: Path, url: str, program: str | None, task: str = "staged"
) -> dict[str, object]:
    """What Gradescope reads after a submission."""
    root = folder / "autograder"
    shutil.copytree(EXAMPLES / "gradescope", root / "source")
    (root / "submission").mkdir()
    if program is not None:
        (root / "submission" / "backprop.py").write_text(program)
    done = subprocess.run(
        [root / "source" / "run_autograder"],
        env=environment(AUTOGRADER_ROOT=str(root), GRADIENT_URL=url, GRADIENT_TASK=task),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads((root / "results" / "results.json").read_text())
    Draft202012Validator(FORMATS["gradescope"].schema()).validate(document)
    return document


@pytest.mark.parametrize(
    ("program", "score"),
    [
        (STUDENT.replace("SIGN", "-1.0"), 11.0),
        (STUDENT.replace("SIGN", "1.0"), 6.5),
        ("def backward(x, y): return 1 / 0", 0.0),
        ("def backward(x, y): return {'x': [1, 2], 'y': float('nan'), 'num': object()}", 0.0),
        ("import sys; sys.exit(3)", 0.0),
        ("syntax error", 0.0),
        (None, 0.0),
        ('import os\nos.write(1, b\'{"task": "mine"}, "task": "mine", "x":\')', 0.0),
    ],
)
def test_the_gradescope_autograder(
    server: Server, tmp_path: Path, program: str | None, score: float
) -> None:
    document = autograde(tmp_path, server.url, program)
    assert document["score"] == score
    if score == 6.5:
        assert "-1/x**2" in json.dumps(document)


def test_the_gradescope_autograder_without_a_service_or_its_task(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    right = STUDENT.replace("SIGN", "-1.0")
    document = autograde(tmp_path / "a", server.url, right, task="nowhere")
    assert document["score"] == 0
    assert "task_not_found" in str(document["output"])
    document = autograde(tmp_path / "b", "http://127.0.0.1:9", right)
    assert document["score"] == 0
    assert "can't be reached" in str(document["output"])


@pytest.mark.parametrize(
    ("submission", "score"),
    [
        (json.dumps({"gradients": staged()}), 1.0),
        (json.dumps({"gradients": staged("minus lost")}), 6.5 / 11),
        ("not json", None),
        (None, None),
    ],
)
def test_the_prairielearn_grader(
    tmp_path: Path, submission: str | None, score: float | None
) -> None:
    root = tmp_path / "grade"
    shutil.copytree(EXAMPLES / "prairielearn" / "tests", root / "tests")
    shutil.copy(TASK, root / "tests" / "task.json")
    (root / "student").mkdir()
    if submission is not None:
        (root / "student" / "submission.json").write_text(submission)
    done = subprocess.run(
        [root / "tests" / "grade.sh"],
        env=environment(GRADE_ROOT=str(root)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads((root / "results" / "results.json").read_text())
    Draft202012Validator(FORMATS["prairielearn"].schema()).validate(document)
    if score is None:
        assert document["gradable"] is False
    else:
        assert document["score"] == pytest.approx(score)


def test_the_prairielearn_question_names_the_script_and_no_network() -> None:
    info = json.loads((EXAMPLES / "prairielearn" / "info.json").read_text())
    options = info["externalGradingOptions"]
    assert options["entrypoint"] == "/grade/tests/grade.sh"
    assert options["enableNetworking"] is False
    assert os.access(EXAMPLES / "prairielearn" / "tests" / "grade.sh", os.X_OK)


def test_the_shell_script(server: Server, tmp_path: Path) -> None:
    script = EXAMPLES / "shell" / "grade.sh"
    right, wrong, broken = (tmp_path / f"{name}.json" for name in ("right", "wrong", "broken"))
    right.write_text(json.dumps({"gradients": staged()}))
    wrong.write_text(json.dumps({"gradients": staged("two forgotten")}))
    broken.write_text('{}, "task": "easy", "submission": {}')

    def run(*arguments: object, url: str = server.url) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [script, *map(str, arguments)],
            env=environment(GRADIENT_URL=url),
            capture_output=True,
            text=True,
            timeout=60,
        )

    done = run("staged", right)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{right}: 1.0" in done.stdout
    done = run("staged", right, wrong, broken)
    assert done.returncode == 1
    assert "power rule" in done.stdout
    assert f"{broken}: 0.0" in done.stdout
    assert run("nowhere", right).returncode == 2
    assert run("staged").returncode == 2
    assert run("staged", right, url="http://127.0.0.1:9").returncode == 2


SCRIPTS = [*sorted(EXAMPLES.glob("*/**/*.sh")), EXAMPLES / "gradescope" / "run_autograder"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_scripts_are_shell(script: Path) -> None:
    shell = "sh" if script.read_text().startswith("#!/bin/sh") else "bash"
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
