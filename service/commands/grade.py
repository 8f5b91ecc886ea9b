"""`gradient-service grade`: grading without a server and without network."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

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
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on after what a killed run into --output had graded."),
    ] = False,
) -> None:
    """Grade submissions for a task, without a server.

    Exit codes: 0 graded, whatever the scores; 1 the task is wrong or can't be read, or a fault
    of the service left a submission ungraded, while the others are written; 2 the
    command was not written right; 3 with --fail-below, when a score is below it. In a
    grader's format a valid failing document is written even when the code is 1.
    """
    from service.grading.formats import FORMATS

    if format not in FORMATS:
        raise typer.BadParameter(f"one of {', '.join(FORMATS)}", param_hint="--format")
    from service.routes._grading import failure, written

    chosen = FORMATS[format]
    files = list(_files(submissions))
    if not files:
        raise typer.BadParameter("there are no submissions", param_hint="SUBMISSIONS")
    single = len(files) == 1 and not Path(submissions[0]).is_dir()
    try:
        from service.bulk.submissions import grade_block

        job = grading_job(task, format, problem)
        grade_block(job, ())  # whatever is wrong with the task is told first
    except Exception as error:
        if chosen.failed is not None and single:
            _write(written(chosen.failed(failure(error), problem)), output)
        raise
    read = [(name, _read(name, file)) for name, file in files]
    if single:
        rows, documents = _grade_one(job, read[0], output)
    else:
        rows, documents = _grade_many(job, read, _pool(len(files), workers, ray), output, resume)
    if csv is not None:
        csv.write_text(_table(rows), encoding="utf-8")
    if not single:
        _write_many(rows, documents, output)
        _spool(output).discard()
    if len(rows) > 1:
        typer.echo(_summary(rows), err=True)
    ungraded = [row["name"] for row in rows if row["score"] is None]
    if ungraded:
        some = ", ".join(ungraded[:5]) + (", …" if len(ungraded) > 5 else "")
        typer.echo(
            f"{len(ungraded)} could not be graded by a fault of the service: {some}", err=True
        )
        raise typer.Exit(1)
    if fail_below is not None:
        lowest = min(row["score"] / row["max_score"] if row["max_score"] else 0.0 for row in rows)
        if lowest < fail_below:
            raise typer.Exit(BELOW)


def _grade_one(
    job: Any, submission: tuple[str, object], output: Path | None
) -> tuple[list[dict[str, Any]], list[bytes]]:
    from service.bulk.submissions import grade_block, grade_numbered

    block = grade_numbered(job, (0, [submission]))
    _write(block.documents, output)
    if job.format == "autolab":
        result = grade_block(job, [submission])[0][1]
        if result is not None:
            _feedback(result)
    return block.rows, [block.documents]


def _grade_many(
    job: Any, read: Sequence[tuple[str, object]], pool: Any, output: Path | None, resume: bool
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Rows and documents of all submissions, with finished blocks beside the output."""
    from service.bulk.blocks import run_blocks
    from service.bulk.spool import OtherJob
    from service.bulk.submissions import grade_numbered, in_blocks

    spool = _spool(output)
    blocks = list(enumerate(in_blocks(read)))
    try:
        finished = spool.begin(_described(job, read), resume=resume)
    except (OtherJob, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--output") from None
    with _Progress(len(read)) as progress:
        progress.step(sum(len(block) for number, block in blocks if number in finished))
        waiting = (block for block in blocks if block[0] not in finished)
        for result in run_blocks(grade_numbered, job, waiting, pool):
            spool.put(result.number, {"rows": result.rows}, result.documents)
            progress.step(len(result.rows))
    rows: list[dict[str, Any]] = []
    documents: list[bytes] = []
    for number, _ in blocks:
        rows += spool.header(number)["rows"]
        documents += spool.body(number).split(b"\n")
    return rows, documents


def _spool(output: Path | None) -> Any:
    from service.bulk.spool import MemorySpool, Spool

    return MemorySpool() if output is None else Spool(output)


def _described(job: Any, read: Sequence[tuple[str, object]]) -> dict[str, Any]:
    """What the blocks are of, as JSON: another task or other submissions make another job."""
    import hashlib

    import orjson

    from service import __version__

    submissions = hashlib.sha256()
    for name, document in read:
        submissions.update(orjson.dumps([name, repr(document)]))
    return {
        "version": __version__,
        "task": hashlib.sha256(job.task).hexdigest(),
        "format": job.format,
        "problem": job.problem,
        "submissions": submissions.hexdigest(),
    }


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
    """The document of a submission; NotJson, which is graded with 0, where there is none."""
    from service.grading.submission import NotJson
    from service.settings import get_settings
    from service.wire.grading import parse_submission

    try:
        body = sys.stdin.buffer.read() if file is None else file.read_bytes()
        if len(body) > get_settings().max_body_bytes:
            return NotJson("the submission is too large")
        document = parse_submission(body, get_settings().max_json_depth)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None
    if not isinstance(document, dict):
        return document
    if "submission" in document and "gradients" not in document:
        inner = document["submission"]
        document = inner if isinstance(inner, dict) else document
    if not isinstance(document.get("id"), str | int):
        document["id"] = name
    return document


def _write(content: bytes, output: Path | None) -> None:
    from service.commands._local import write_output

    write_output(content if content.endswith(b"\n") else content + b"\n", output)


def _write_many(
    rows: Sequence[dict[str, Any]], documents: Sequence[bytes], output: Path | None
) -> None:
    """A line each; to a folder a file each; to a `.csv` file the table."""
    if output is not None and output.suffix == ".csv":
        output.write_text(_table(rows), encoding="utf-8")
    elif output is not None and (output.is_dir() or not output.suffix):
        output.mkdir(parents=True, exist_ok=True)
        for row, document in zip(rows, documents, strict=True):
            (output / f"{row['name']}.json").write_bytes(document + b"\n")
    else:
        _write(b"".join(document + b"\n" for document in documents), output)


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """The scores as CSV: a row for each submission, a column for each node's verdict."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    first = next((row for row in rows if row["score"] is not None), rows[0])
    titles = list(first["verdicts"])
    fault = ["first_fault"] if "first_fault" in first else []
    writer.writerow(["submission", "score", "max_score", *titles, *fault])
    for row in rows:
        cells = [_harmless(row["submission"]), row["score"], row["max_score"]]
        cells += [row["verdicts"].get(title, "") for title in titles]
        writer.writerow(cells + [row.get(name, "") for name in fault])
    return text.getvalue()


def _summary(rows: Sequence[dict[str, Any]]) -> str:
    """What became of many submissions, in a line."""
    scored = [row for row in rows if row["score"] is not None]
    most = max((row["max_score"] for row in scored), default=0.0)
    scores = [row["score"] for row in scored]
    unread = sum(bool(row.get("unread")) for row in scored)
    text = f"{len(scored)} graded, {sum(score >= most for score in scores)} with all points"
    if scores:
        text += f", on average {sum(scores) / len(scores):.3g} of {most:g}"
    return text + (f"; {unread} could not be read" if unread else "")


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
