"""The API's documentation in the browser, with nothing from another host."""

from __future__ import annotations

from pathlib import Path

from fastapi.responses import FileResponse

from service.codes import CODES, Refusal
from service.errors import responses
from service.http.routing import Router

router = Router(access="any key", offers=None, tags=["service"])

STATIC = Path(__file__).resolve().parent.parent / "static"


@router.get("/docs", include_in_schema=False)
async def docs() -> FileResponse:
    """Swagger UI, served from the package."""
    return FileResponse(STATIC / "docs.html", media_type="text/html")


@router.get("/problems", summary="All error codes")
async def problems() -> dict[str, list[dict[str, str | int]]]:
    """Every `code` that a problem document may carry, with its status and its meaning."""
    return {"problems": [_described(name) for name in CODES]}


@router.get("/problems/{code}", summary="One error code", responses=responses(404))
async def problem(code: str) -> dict[str, str | int]:
    """What the `type` of a problem document points to."""
    name = code.replace("-", "_")
    if name not in CODES:
        raise Refusal("not_found", "there is no such error code")
    return _described(name)


def _described(name: str) -> dict[str, str | int]:
    code = CODES[name]
    return {
        "code": code.name,
        "status": code.status,
        "title": code.title,
        "meaning": code.meaning,
        "type": f"/problems/{code.slug}",
    }
