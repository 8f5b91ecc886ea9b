"""The operator catalogue: `/v1/operators` and `/v1/operators/{name}`."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from fastapi import Path, Response

from service.codes import Refusal
from service.engine.operators import REGISTRY
from service.errors import responses
from service.http.routing import Router
from service.wire.answers import encode
from service.wire.catalogue import OperatorEntry, OperatorList, entry, listed

router = Router(access="compute", prefix="/v1/operators", tags=["catalogue"])
_HEADERS = {"cache-control": "public, max-age=3600"}


@cache
def _all() -> bytes:
    entries = [entry(operator, example=False) for operator in listed()]
    return encode({"operators": entries, "count": len(entries)})


@cache
def _one(name: str) -> bytes:
    return encode(entry(REGISTRY[name], example=True))


@router.get("", summary="The catalogue of operators", response_model=OperatorList)
async def operators() -> Response:
    """Every operator: arity, attributes with their JSON schema, formula, gradient, aliases."""
    return Response(_all(), media_type="application/json", headers=_HEADERS)


@router.get(
    "/{name}",
    summary="One operator",
    response_model=OperatorEntry,
    responses=responses(404),
)
def operator(
    name: Annotated[str, Path(max_length=64, description="A name or an alias.")],
) -> Response:
    """Everything about one operator, with an example that can be sent to /v1/forward."""
    if name not in REGISTRY or REGISTRY[name].internal:
        near = REGISTRY.suggest(name)
        hint = f"; did you mean '{near}'?" if near else ""
        raise Refusal("operator_not_found", "the catalogue has no such operator" + hint)
    return Response(_one(REGISTRY[name].name), media_type="application/json", headers=_HEADERS)
