"""The playground at /: a static page that talks to the API beside it."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse

from service.codes import Refusal
from service.http.routing import Router

router = Router(access="any key", offers=None)

PAGE = Path(__file__).resolve().parent.parent / "static" / "playground" / "index.html"


@router.get("/", include_in_schema=False)
async def playground(request: Request) -> FileResponse:
    """The page, where the settings have it served."""
    if not request.app.state.settings.playground:
        raise Refusal("not_found", "the playground is not served here")
    return FileResponse(PAGE, media_type="text/html")
