"""The application called in process: a request, its status and its JSON."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from pydantic import SecretStr

from service.app import create_app
from service.settings import Settings


class Caller:
    """One application with a store of its own. Every call runs an event loop to its end."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("database_url", SecretStr("sqlite://"))
        self.app = create_app(Settings(**settings))
        self.store = self.app.state.store

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def close(self) -> None:
        """Give back threads and connections."""
        self.app.close()
        self.store.close()
