"""`gradient-service settings`: every setting, its variable, its default and its meaning."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
) -> None:
    """List the settings, which are environment variables."""
    from service.settings import described

    rows = described()
    if markdown:
        typer.echo("| variable | default | meaning |\n|---|---|---|")
        for name, default, meaning in rows:
            typer.echo(f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |")
        return
    for name, default, meaning in rows:
        typer.echo(f"{name:32} {default:16} {meaning}")
