"""`gradient-service grade`: in process, without network, with codes a script can use."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.grading.formats import FORMATS
from tests.grading.test_http import RIGHT, TASK, WRONG
from tests.serving import ROOT

NO_NETWORK = (
    "import socket, sys\n"
    "def refuse(*a, **k): raise OSError('no network here')\n"
    "socket.socket.connect = refuse\n"
    "from service.cli import main\n"
    "sys.argv[0] = 'gradient-service'\n"
    "main()\n"
)


def run(*arguments: str | Path, stdin: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRADIENT_")}
    environment |= {"PYTHONPATH": str(ROOT), **more}
    return subprocess.run(
        [sys.executable, "-c", NO_NETWORK, "grade", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "task.json").write_text(json.dumps(TASK))
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "ada.json").write_text(json.dumps(RIGHT))
    (tmp_path / "all" / "bob.json").write_text(json.dumps({"gradients": WRONG["gradients"]}))
    (tmp_path / "all" / "eve.json").write_text("=cmd()")
    return tmp_path


def test_files_of_one_name_are_told_apart_by_their_folders(folder: Path) -> None:
    for student in ("ada", "bob"):
        (folder / student).mkdir()
        (folder / student / "submission.json").write_bytes(
            (folder / "all" / f"{student}.json").read_bytes()
        )
    paths = [folder / student / "submission.json" for student in ("ada", "bob")]
    made = run(folder / "task.json", *paths, "-o", folder / "out")
    assert made.returncode == 0, made.stderr
    scores = [json.loads(file.read_text())["score"] for file in sorted((folder / "out").iterdir())]
    assert len(scores) == 2
    assert scores[0] > scores[1]


def test_one_submission_is_one_document(folder: Path) -> None:
    made = run(folder / "task.json", folder / "all" / "bob.json")
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)
    assert document["score"] == 2.0
    assert document["submission"] == "bob"


def test_from_standard_input_to_a_file(folder: Path) -> None:
    output = folder / "results.json"
    made = run(
        folder / "task.json",
        "-",
        "--format",
        "gradescope",
        "--output",
        output,
        stdin=json.dumps(RIGHT),
    )
    assert (made.returncode, made.stdout) == (0, "")
    Draft202012Validator(FORMATS["gradescope"].schema()).validate(json.loads(output.read_text()))


def test_a_folder_is_a_line_each_and_a_table(folder: Path) -> None:
    made = run(folder / "task.json", folder / "all", "--csv", folder / "scores.csv")
    assert made.returncode == 0
    lines = [json.loads(line) for line in made.stdout.splitlines()]
    assert [line["score"] for line in lines] == [4.0, 2.0, 0.0]
    rows = list(csv.DictReader((folder / "scores.csv").read_text().splitlines()))
    assert [row["submission"] for row in rows] == ["ada", "bob", "eve"]
    assert rows[1]["q"] == "wrong"
    assert rows[1]["first_fault"] == "q"
    assert rows[2]["x"] == "missing"


def test_a_folder_to_a_folder_and_to_a_csv_file(folder: Path) -> None:
    run(folder / "task.json", folder / "all", "-f", "coursera", "-o", folder / "out")
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "ada.json",
        "bob.json",
        "eve.json",
    ]
    run(folder / "task.json", folder / "all", "-o", folder / "out.csv")
    assert len((folder / "out.csv").read_text().splitlines()) == 4


def test_no_cell_of_the_table_is_a_formula(folder: Path) -> None:
    (folder / "all" / "bob.json").write_text(json.dumps({**RIGHT, "id": "=HYPERLINK(1)"}))
    run(folder / "task.json", folder / "all", "-o", folder / "out.csv")
    assert "\n=" not in (folder / "out.csv").read_text()


def test_a_wrong_task_is_code_one_and_still_a_valid_document(folder: Path) -> None:
    (folder / "bad.json").write_text(json.dumps({**TASK, "graph": {"expression": "f ="}}))
    for task in ("bad.json", "nowhere.json"):
        output = folder / "results.json"
        made = run(folder / task, folder / "all" / "ada.json", "-f", "prairielearn", "-o", output)
        assert made.returncode == 1
        assert json.loads(made.stderr)["code"]
        document = json.loads(output.read_text())
        Draft202012Validator(FORMATS["prairielearn"].schema()).validate(document)
        assert document["gradable"] is False


def test_a_command_that_is_written_wrong_is_code_two(folder: Path) -> None:
    assert run(folder / "task.json").returncode == 2
    assert run(folder / "task.json", folder / "nowhere.json").returncode == 2
    made = run(folder / "task.json", folder / "all" / "ada.json", "--format", "canvas")
    assert made.returncode == 2
    assert "gradescope" in made.stderr


@pytest.mark.parametrize(("share", "code"), [("0.5", 0), ("0.51", 3), ("1", 3)])
def test_a_score_that_is_too_low_is_code_three_when_asked(
    folder: Path, share: str, code: int
) -> None:
    made = run(folder / "task.json", folder / "all" / "bob.json", "--fail-below", share)
    assert made.returncode == code


def test_autolabs_last_line_of_output_is_its_scores(folder: Path) -> None:
    made = run(
        folder / "task.json", folder / "all" / "bob.json", "-f", "autolab", "--problem", "Part 1"
    )
    assert json.loads(made.stdout.splitlines()[-1]) == {"scores": {"Part 1": 2.0}}
    assert "q: " in made.stderr


def test_a_task_by_its_id_in_the_folder_of_tasks(folder: Path) -> None:
    (folder / "tasks").mkdir()
    (folder / "tasks" / "hw1.json").write_text(json.dumps(TASK))
    made = run("hw1", folder / "all" / "ada.json", GRADIENT_TASKS_DIR=str(folder / "tasks"))
    assert json.loads(made.stdout)["score"] == 4.0


def test_the_answer_is_that_of_the_service(folder: Path) -> None:
    from service.app import create_app
    from service.settings import Settings
    from tests.grading.test_http import post

    app = create_app(Settings(database_url="sqlite://"))
    served = post(app, "/v1/grade", {**TASK, "submission": {**WRONG, "id": "bob"}})
    assert run(folder / "task.json", folder / "all" / "bob.json").stdout.strip() == served.text


def test_on_a_terminal_there_is_a_progress_bar(folder: Path) -> None:
    controller, terminal = pty.openpty()
    try:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            [sys.executable, "-c", NO_NETWORK, "grade", folder / "task.json", folder / "all"],
            stdout=subprocess.PIPE,
            stderr=terminal,
            env=environment,
        ) as process:
            process.communicate(timeout=60)
        shown = os.read(controller, 10_000).decode()
    finally:
        os.close(controller)
        os.close(terminal)
    assert "3/3" in shown
    assert "###" in shown


def test_an_author_is_told_what_the_inputs_of_a_task_hide(folder: Path) -> None:
    (folder / "task.json").write_text(json.dumps({**TASK, "inputs": {"x": 1, "y": 0, "z": 1}}))
    program = NO_NETWORK
    done = subprocess.run(
        [sys.executable, "-c", program, "advise", folder / "task.json"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "don't show" in done.stdout


BROKEN = [
    b"",
    b"not json",
    b'{"gradients": {"x": 1, "y": ',
    b"[1, 2]",
    b"\xff\xfe\x00",
    b'{"gradients": 5}',
    b'{"gradients": {"x": "two", "y": [[1], [2, 3]], "z": null}}',
    b'{"gradients": {"x": NaN, "y": Infinity, "z": 1e999}}',
    b'{"gradients": {"dx": 1, "grad_y": 2, "Z": 3}}',
    b'{"gradients": {"x": [1, 2], "y": [[[]]], "z": {"shape": [1]}}}',
    b'{"id": 7, "id": 8}',
    '{"gr\u00e4dients": 1}'.encode("latin-1"),
    b'{"gradients": {"x": ' + b"[" * 3000 + b"]" * 3000 + b"}}",
    b'{"values": 3, "points": 4, "expression": 5}',
    b"\x00\x01\x02\x03",
]


def test_three_hundred_submissions_of_which_half_are_broken(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(300):
        body = json.dumps(RIGHT).encode()
        if number % 2:
            body = BROKEN[number // 2 % len(BROKEN)]
        elif number % 6 == 0:
            body = json.dumps(RIGHT).encode("utf-16")
        (tmp_path / "many" / f"s{number:03}.json").write_bytes(body)
    table = tmp_path / "scores.csv"
    made = run(folder / "task.json", tmp_path / "many", "--csv", table, "-o", tmp_path / "results")
    assert made.returncode == 0, made.stderr
    results = sorted((tmp_path / "results").glob("*.json"))
    assert len(results) == 300
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert len(rows) == 300
    for number, (row, path) in enumerate(zip(rows, results, strict=True)):
        document = json.loads(path.read_bytes())
        Draft202012Validator(FORMATS["native"].schema()).validate(document)
        right = document["score"] == document["max_score"]
        assert right == (number % 2 == 0), (path, document)
        assert float(row["score"]) == document["score"]
        if not right:
            assert document.get("reason") or document.get("notes") or "missing" in str(document)
    assert "300 graded" in made.stderr
    assert "150 with all points" in made.stderr
