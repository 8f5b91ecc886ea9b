"""`gradient-service operators`: the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="One operator, by name or alias.")] = None,
    markdown: Annotated[
        bool, typer.Option(help="All about all of them: docs/operators.md.")
    ] = False,
) -> None:
    """List the operators, or show all about one of them."""
    import service.engine.operators  # noqa: F401  (fills the registry)
    from service.engine.registry import REGISTRY

    if markdown:
        from service.wire.catalogue import page

        typer.echo(page(), nl=False)
        return
    if name is not None:
        if name not in REGISTRY:
            near = REGISTRY.suggest(name)
            hint = f"; did you mean '{near}'?" if near else ""
            raise typer.BadParameter(f"there is no operator '{name}'{hint}")
        found = REGISTRY[name]
        rows = {
            "name": found.name,
            "aliases": ", ".join(found.aliases),
            "group": found.group,
            "summary": found.summary,
            "inputs": ", ".join(found.inputs) + (", …" if found.variadic else ""),
            "formula": found.formula,
            "gradient": found.gradient_formula,
            "at kinks": found.kinks,
            "gate": found.pattern,
        }
        for key, value in rows.items():
            if value:
                typer.echo(f"{key + ':':10} {value}")
        for key, attribute in found.attributes.items():
            default = "required" if attribute.required else f"default {attribute.default!r}"
            typer.echo(f"{'attribute:':10} {key}: {attribute.expected} ({default})")
        return
    for operator in sorted(REGISTRY, key=lambda one: (one.group, one.name)):
        if not operator.internal:
            typer.echo(f"{operator.group:14} {operator.name:24} {operator.summary}")
