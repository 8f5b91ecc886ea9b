"""`gradient-service advise`: what the author of a grading task should know."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    task: Annotated[
        str, typer.Argument(help="The task: a JSON file, or the id of one in GRADIENT_TASKS_DIR.")
    ],
) -> None:
    """Say which mistakes a grading task's inputs hide, and which they leave alike.

    Ends with 0, also where there is something to say; with 1 where the task is wrong.
    """
    from service.commands.grade import grading_job
    from service.grading.advice import advise
    from service.routes._grading import find_truth
    from service.wire.context import Context
    from service.wire.grading import parse_grading

    job = grading_job(task)
    document = parse_grading(job.task, job.max_depth)
    document.pop("id", None)
    context = Context(limits=job.limits, max_depth=job.max_depth)
    found = advise(find_truth(document, context)[0])
    typer.echo(
        f"{found.tried} known mistakes tried: {found.tried - found.hidden} show, "
        f"{found.hidden} are hidden, {found.alike} can be taken for another."
    )
    for warning in found.warnings:
        typer.echo(f"- {warning}")
