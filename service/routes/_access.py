"""What a request's key may do beyond entering its path, which the front has seen to."""

from __future__ import annotations

from fastapi import Request

from service.http.front import KEY
from service.settings import ApiKey, Scope


def may(request: Request, scope: Scope) -> bool:
    """Whether the request's key has this scope; True for a service without keys."""
    key: ApiKey | None = request.scope[KEY]
    return key is None or key.may(scope)
