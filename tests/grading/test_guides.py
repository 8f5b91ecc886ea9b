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
    return autograde_with_log(folder, url, program, task)[0]


def autograde_with_log(
    folder: Path, url: str, program: str | None, task: str = "staged", key: str = ""
) -> tuple[dict[str, object], str]:
    """What Gradescope reads after a submission, and what it keeps for course staff."""
    root = folder / "autograder"
    shutil.copytree(EXAMPLES / "gradescope", root / "source")
    (root / "submission").mkdir()
    if program is not None:
        (root / "submission" / "backprop.py").write_text(program)
    done = subprocess.run(
        [root / "source" / "run_autograder"],
        env=environment(
            AUTOGRADER_ROOT=str(root),
            GRADIENT_URL=url,
            GRADIENT_TASK=task,
            GRADIENT_KEY=key,
            GRADIENT_SECONDS="3" if "while True" in (program or "") else "40",
        ),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads((root / "results" / "results.json").read_text())
    Draft202012Validator(FORMATS["gradescope"].schema()).validate(document)
    return document, done.stderr


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


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (None, "is missing"),
        ("def backward(x, y)\n    return {}", "no Python: line 1"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("def forward(x, y): return {}", "no function backward(x, y)"),
        ("def backward(a, b): return {}", "look at its parameters"),
        ("def backward(x): return {}", "look at its parameters"),
        ("def backward(x, y): return 3", "a dictionary"),
        ("def backward(x, y):\n    return 1 / 0", "ZeroDivisionError: division by zero (line 2)"),
        ("def backward(x, y): import sys; sys.exit(3)", "SystemExit"),
        ("import os\ndef backward(x, y): os._exit(0)", "before it gave an answer"),
        ("import os\ndef backward(x, y): os.abort()", "crashed"),
        ("def backward(x, y):\n    while True: pass", "within 3 seconds"),
    ],
)
def test_gradescope_tells_what_is_wrong_with_a_program(
    tmp_path: Path, program: str | None, said: str
) -> None:
    document = autograde(tmp_path, "http://127.0.0.1:9", program)
    assert document["score"] == 0
    assert said in str(document["output"])


THIEF = """
import glob, json, os, subprocess, sys, time

def attempt(work):
    try:
        return work()
    except OSError as error:
        return type(error).__name__

def backward(x, y):
    root = ROOT
    found = {"settings": attempt(lambda: open(root + "/source/settings.sh").read())}
    found["others"] = [attempt(lambda: open(name).read()) for name in
                       glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline")]
    found["own"] = dict(os.environ)
    forged = json.dumps({"score": 100})
    found["results"] = attempt(lambda: open(root + "/results/results.json", "w").write(forged))
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for _ in range(100):
                attempt(lambda: open(root + "/results/results.json", "w").write(forged))
                time.sleep(0.1)
        os._exit(0)
    subprocess.Popen(["sleep", "61234"], start_new_session=True)
    print(json.dumps(found), file=sys.stderr)
    return {"x": 1.0}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user run a program")
def test_a_gradescope_program_gets_at_nothing_and_leaves_nothing(
    server: Server, tmp_path: Path
) -> None:
    program = THIEF.replace("ROOT", repr(str(tmp_path / "autograder")))
    document, log = autograde_with_log(tmp_path, server.url, program, key="a-secret-key")
    assert document["score"] == 0
    assert "tests" in document
    assert "a-secret-key" not in log
    told = json.loads(log.strip().splitlines()[-1])
    assert told["settings"] == told["results"] == "PermissionError"
    assert not any(name.startswith("GRADIENT") for name in told["own"])
    left = [path.read_text() for path in Path("/proc").glob("[0-9]*/status") if path.exists()]
    # What has ended stays in the list until it is waited for.
    running = [status for status in left if "\nState:\tZ" not in status]
    assert not any("\nUid:\t61234\t" in status for status in running)


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
        (json.dumps({"gradients": {n: f"{g:.3g}" for n, g in staged().items()}}), 1.0),
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


@pytest.mark.parametrize(
    ("submission", "score"), [(json.dumps({"gradients": staged()}), 11), ("{", 0), (None, 0)]
)
def test_the_autolab_driver(tmp_path: Path, submission: str | None, score: float) -> None:
    folder = tmp_path / "autograde"
    shutil.copytree(EXAMPLES / "autolab" / "autograde", folder)
    shutil.copy(TASK, folder / "task.json")
    if submission is not None:
        (folder / "submission.json").write_text(submission)
    done = subprocess.run(
        [folder / "driver.sh"], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"scores": {"gradients": score}}


def test_the_prairielearn_image_is_made_of_the_repositorys_own() -> None:
    text = (EXAMPLES / "prairielearn" / "Dockerfile").read_text()
    bases = [line.split()[1] for line in text.splitlines() if line.startswith("FROM ")]
    assert bases == ["gradient-service"]
    assert "docker build -t gradient-service ." in (ROOT / "Dockerfile").read_text()
    assert "pip install" not in text


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
    assert all(line[:1] in ("/", " ") for line in done.stdout.splitlines())
    done = run("staged", tmp_path / "nowhere.json", right)
    assert done.returncode == 2
    assert "no such file" in done.stderr
    assert f"{right}: 1.0" in done.stdout
    assert "task_not_found" in run("an id & more", right).stdout
    assert run("nowhere", right).returncode == 2
    assert run("staged").returncode == 2
    assert run("staged", right, url="http://127.0.0.1:9").returncode == 2


SCRIPTS = [*sorted(EXAMPLES.glob("*/**/*.sh")), EXAMPLES / "gradescope" / "run_autograder"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_scripts_are_shell(script: Path) -> None:
    shell = "sh" if script.read_text().startswith("#!/bin/sh") else "bash"
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
