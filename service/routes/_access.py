"""What a request's key may do beyond entering its path, which the pipeline has seen to."""

from __future__ import annotations

from fastapi import Request

from service.http.request_context import CONTEXT
from service.settings import ApiKey, Scope


def may(request: Request, scope: Scope) -> bool:
    """Whether the request's key has this scope; True for a service without keys."""
    key: ApiKey | None = request.scope[CONTEXT].key
    return key is None or key.may(scope)
