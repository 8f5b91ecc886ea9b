"""The command line: every module of `service.commands`, as one program.

Exit codes: 0 when it worked, 1 when it was refused or failed (the problem document is on
standard error), 2 when the command was not written right.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from enum import StrEnum
from typing import Annotated, Any

import typer

from service import __version__, commands


def build() -> typer.Typer:
    """The program with all its commands."""
    program = typer.Typer(
        name="gradient-service",
        help="Forward values and gradients of computation graphs.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    program.callback()(_program)
    for found in pkgutil.iter_modules(commands.__path__):
        if not found.name.startswith("_"):
            module = importlib.import_module(f"{commands.__name__}.{found.name}")
            if hasattr(module, "command"):
                program.command(found.name.replace("_", "-"))(module.command)
            for name, command in getattr(module, "commands", {}).items():
                program.command(name)(command)
    return program


class Errors(StrEnum):
    """How a refusal is written."""

    auto = "auto"
    json = "json"
    text = "text"


_errors = Errors.auto


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gradient-service {__version__}")
        raise typer.Exit


def _program(
    errors: Annotated[
        Errors,
        typer.Option(help="Refusals as sentences or as JSON; auto: sentences on a terminal."),
    ] = Errors.auto,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Forward values and gradients of computation graphs."""
    global _errors
    _errors = errors


def _sentences(document: dict[str, Any]) -> str:
    """A problem document as a person reads it: a line for each fault, with its hint."""
    lines = []
    for fault in document.get("errors") or [document]:
        place = f"line {fault['line']}, column {fault['column']}: " if "column" in fault else ""
        hint = f" ({fault['hint']})" if fault.get("hint") else ""
        lines.append(f"{place}{fault.get('detail', document['title'])}{hint}")
    return "\n".join(lines)


def main() -> None:
    """Run the command that the arguments name."""
    try:
        build()()
    except BrokenPipeError:
        # The reader of our output has gone; so has our reason to go on.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        from service.errors import problem

        found = problem(error)
        if _errors is Errors.text or (_errors is Errors.auto and sys.stderr.isatty()):
            sys.stderr.write(_sentences(found.document()) + "\n")
        else:
            sys.stderr.write(found.body().decode() + "\n")
        if found.code.name == "internal":
            traceback.print_exception(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
