"""`gradient-service openapi`: the OpenAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; else standard output.")
    ] = None,
) -> None:
    """Write the API's OpenAPI document."""
    import json

    from service.app import create_app
    from service.settings import Settings

    # FastAPI names the server when it sends the document: where it is mounted.
    document = {**create_app(Settings.defaults()).openapi(), "servers": [{"url": "/"}]}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if output is None:
        typer.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
