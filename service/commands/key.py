"""`gradient-service key`: a new API key."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    name: Annotated[str, typer.Argument(help="Whose key it is; shown in the logs.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="compute, grade, tasks or admin; may be repeated [compute]."),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second.")] = None,
) -> None:
    """Make an API key; print it once, and its entry for GRADIENT_API_KEYS.

    The key goes to standard error, the entry, which holds only its hash, to standard output.
    """
    import secrets
    from hashlib import sha256

    from pydantic import ValidationError

    from service.settings import ApiKey

    key = secrets.token_urlsafe(32)
    try:
        entry = ApiKey.model_validate(
            {
                "name": name,
                "sha256": sha256(key.encode()).hexdigest(),
                "scopes": scope or ["compute"],
                "rate": rate,
            }
        )
    except ValidationError as error:
        places = ", ".join(str(fault["loc"][0]) for fault in error.errors())
        raise typer.BadParameter(f"not valid: {places}") from None
    typer.echo(f"key: {key}", err=True)
    typer.echo(entry.model_dump_json(exclude_none=True))
