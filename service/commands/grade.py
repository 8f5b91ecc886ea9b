"""`gradient-service grade`: grading without a server and without network."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from service.grading.task import Result

BELOW = 3
"""The exit code where a score is lower than was asked for."""


def command(
    task: Annotated[
        str, typer.Argument(help="The task: a JSON file, or the id of one in GRADIENT_TASKS_DIR.")
    ],
    submissions: Annotated[
        list[str],
        typer.Argument(help="Submissions: JSON files, folders of them, or - for standard input."),
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="native, gradescope, prairielearn, autolab, coursera or github-classroom.",
        ),
    ] = "native",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write: a file; for several submissions a folder, or a .csv or .ndjson "
            "file; else standard output.",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Also write a table of the scores to this file.")
    ] = None,
    problem: Annotated[
        str, typer.Option("--problem", help="The problem's name, for autolab.")
    ] = "gradients",
    fail_below: Annotated[
        float | None,
        typer.Option(
            "--fail-below",
            min=0.0,
            max=1.0,
            help="Exit with 3 when a score is a smaller share of the points than this.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes; by itself one per core from 500 submissions on."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", help="The address of a Ray cluster: auto, ray://HOST:PORT, local."),
    ] = None,
) -> None:
    """Grade submissions for a task, without a server.

    Exit codes: 0 graded, whatever the scores; 1 the task is wrong or can't be read; 2 the
    command was not written right; 3 with --fail-below, when a score is below it. In a
    grader's format a valid failing document is written even when the code is 1.
    """
    from service.grading.formats import FORMATS

    if format not in FORMATS:
        raise typer.BadParameter(f"one of {', '.join(FORMATS)}", param_hint="--format")
    from service.bulk.blocks import run_blocks
    from service.bulk.submissions import grade_block, in_blocks
    from service.routes._grading import failure, written

    chosen = FORMATS[format]
    files = list(_files(submissions))
    if not files:
        raise typer.BadParameter("there are no submissions", param_hint="SUBMISSIONS")
    single = len(files) == 1 and not Path(submissions[0]).is_dir()
    try:
        job = grading_job(task, format, problem)
        grade_block(job, ())  # whatever is wrong with the task is told first
    except Exception as error:
        if chosen.failed is not None and single:
            _write(written(chosen.failed(failure(error), problem)), output)
        raise
    made: list[tuple[str, Result, bytes]] = []
    with _Progress(len(files)) as progress:
        read = [(name, _read(name, file)) for name, file in files]
        for block in run_blocks(grade_block, job, in_blocks(read), _pool(len(files), workers, ray)):
            made += block
            progress.step(len(block))
    if csv is not None:
        csv.write_text(_table(made), encoding="utf-8")
    if single:
        _write(made[0][2], output)
        if format == "autolab":
            _feedback(made[0][1])
    else:
        _write_many(made, output)
    if fail_below is not None:
        lowest = min(r.score / r.max_score if r.max_score else 0.0 for _, r, _ in made)
        if lowest < fail_below:
            raise typer.Exit(BELOW)


def _files(given: Sequence[str]) -> Iterable[tuple[str, Path | None]]:
    """(name, file) of every submission; None stands for standard input.

    Files of one name in several folders are told apart by their paths: a/sub.json is `a-sub`.
    """
    found = list(_found(given))
    counts = Counter(name for name, _ in found)
    for name, file in found:
        if counts[name] > 1 and file is not None:
            name = "-".join(part for part in file.with_suffix("").parts if part != file.anchor)
        yield name, file


def _found(given: Sequence[str]) -> Iterable[tuple[str, Path | None]]:
    for one in given:
        path = Path(one)
        if one == "-":
            yield "stdin", None
        elif path.is_dir():
            for file in sorted(path.glob("*.json")):
                yield file.stem, file
        else:
            yield path.stem, path


def _pool(count: int, workers: int | None, ray: str | None) -> Any:
    """What grades so many submissions."""
    from service.bulk.cluster import Cluster
    from service.bulk.local import Processes, ThisProcess, cores
    from service.bulk.submissions import LENGTH, WORTH_PROCESSES

    if ray is not None:
        return Cluster(ray)
    if workers is None:
        workers = cores() if count >= WORTH_PROCESSES else 1
    workers = min(workers, -(-count // LENGTH))
    return ThisProcess() if workers == 1 else Processes(workers)


def grading_job(task: str, format: str = "native", problem: str = "gradients") -> Any:
    """The job of grading for a task in a file, or for one in the folder of tasks."""
    from service.bulk.submissions import GradingJob
    from service.codes import Refusal
    from service.settings import get_settings
    from service.store.folder import TaskFolder

    settings = get_settings()
    path = Path(task)
    if path.is_file():
        text = path.read_bytes()
    else:
        folder = None if settings.tasks_dir is None else TaskFolder(settings.tasks_dir)
        found = None
        if folder is not None and path.suffix != ".json":
            found = folder.get(task)
        if found is None:
            where = "is no file" if folder is None or path.suffix == ".json" else "is no task"
            raise Refusal("task_not_found", f"there {where} {path.name}")
        text = found.encode()
    return GradingJob(
        task=text,
        format=format,
        problem=problem,
        limits=settings.limits,
        max_depth=settings.max_json_depth,
        max_diagnosis_runs=settings.max_diagnosis_runs,
    )


def _read(name: str, file: Path | None) -> object:
    """The document of a submission; None, which is graded with 0, where there is none in it."""
    from service.settings import get_settings
    from service.wire.grading import parse_grading

    try:
        body = sys.stdin.buffer.read() if file is None else file.read_bytes()
        if len(body) > get_settings().max_body_bytes:
            return None
        document = parse_grading(body, get_settings().max_json_depth)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None
    except Exception:
        return None
    if "submission" in document and "gradients" not in document:
        inner = document["submission"]
        document = inner if isinstance(inner, dict) else document
    if not isinstance(document.get("id"), str | int):
        document["id"] = name
    return document


def _write(content: bytes, output: Path | None) -> None:
    from service.commands._local import write_output

    write_output(content if content.endswith(b"\n") else content + b"\n", output)


def _write_many(made: Sequence[tuple[str, Any, bytes]], output: Path | None) -> None:
    """A line each; to a folder a file each; to a `.csv` file the table."""
    if output is not None and output.suffix == ".csv":
        output.write_text(_table(made), encoding="utf-8")
    elif output is not None and (output.is_dir() or not output.suffix):
        output.mkdir(parents=True, exist_ok=True)
        for name, _, content in made:
            (output / f"{name}.json").write_bytes(content + b"\n")
    else:
        _write(b"".join(content + b"\n" for _, _, content in made), output)


def _table(made: Sequence[tuple[str, Any, bytes]]) -> str:
    """The scores as CSV: a row for each submission, a column for each node's verdict."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    reveals = made[0][1].reveal if made else "score"
    names = []
    if reveals != "score" and made:
        names = [(w.kind, w.wire) for w in made[0][1].wires if w.max_points > 0]
    writer.writerow(
        ["submission", "score", "max_score"]
        + [wire if kind == "value" else f"d{wire}" for kind, wire in names]
        + (["first_fault"] if reveals in ("diagnosis", "full") else [])
    )
    for name, result, _ in made:
        verdicts = {(w.kind, w.wire): w.verdict for w in result.wires}
        row = [_harmless(result.submission or name), result.score, result.max_score]
        row += [verdicts.get(one, "") for one in names]
        if reveals in ("diagnosis", "full"):
            row.append(result.faulty[0] if result.faulty else "")
        writer.writerow(row)
    return text.getvalue()


def _harmless(cell: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _feedback(result: Any) -> None:
    from service.grading.report import feedback, shown

    typer.echo(feedback(shown(result)), err=True)


class _Progress:
    """A bar on standard error while many are graded, if that is a terminal."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._shown = count > 1 and sys.stderr.isatty()

    def __enter__(self) -> _Progress:
        self._draw()
        return self

    def step(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        self._draw()

    def _draw(self) -> None:
        if self._shown:
            filled = 30 * self._done // self._count
            bar = "#" * filled + "." * (30 - filled)
            sys.stderr.write(f"\r[{bar}] {self._done}/{self._count}")
            sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\n")
