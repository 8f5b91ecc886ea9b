"""Sending calls over HTTP: `Client` for threads, `AsyncClient` for asyncio.

Both try again when the service has no room (503, 429) or the connection breaks: every
computation is a pure function and every registration idempotent, so that a second attempt
does no harm.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx
import orjson

from gradient_client import calls
from gradient_client.calls import Call, Registered
from gradient_client.errors import Unreachable, error_of

Answer = TypeVar("Answer")
P = ParamSpec("P")

_BUSY = frozenset({429, 503})
_ACCEPTED = "application/json, application/x-ndjson, image/svg+xml, text/plain;q=0.9"
_LONGEST_WAIT = 30.0


class _Sender:
    """What both clients share: the connection's settings and the patience."""

    def __init__(self, base_url: str, api_key: str | None, retries: int) -> None:
        self._base = base_url.rstrip("/")
        self._headers = {
            "accept": "application/json, application/x-ndjson, image/svg+xml, text/plain;q=0.9"
        }
        if api_key is not None:
            self._headers["authorization"] = f"Bearer {api_key}"
        self._retries = retries

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        headers = dict(self._headers)
        if call.body is not None:
            headers["content-type"] = "application/json"
        return {
            "method": call.method,
            "url": self._base + call.path,
            "params": dict(call.query) or None,
            "content": call.body,
            "headers": headers,
        }

    def _wait(self, attempt: int, response: httpx.Response | None) -> float | None:
        """Seconds until the next attempt; None when this one's outcome stands."""
        if attempt >= self._retries:
            return None
        if response is None:
            return _backoff(attempt)
        if response.status_code not in _BUSY:
            return None
        try:
            asked = float(response.headers.get("retry-after", "nan"))
        except ValueError:  # a date; the service sends seconds
            return _backoff(attempt)
        if asked != asked:
            return _backoff(attempt)
        # A little later than asked, and not all at once.
        return min(max(asked, 0.0), _LONGEST_WAIT) + _backoff(0) * random.random()


def _backoff(attempt: int) -> float:
    """0.1 s, doubling, with jitter."""
    return float(min(0.1 * 2**attempt, 5.0) * (0.5 + random.random() / 2))


def _read(call: Call[Answer], response: httpx.Response) -> Answer:
    """The answer, or the exception that the response stands for."""
    if response.is_success:
        return call.read(response.content)
    try:
        document = orjson.loads(response.content)
    except ValueError:
        document = {}
    raise error_of(response.status_code, document)


def _sync(make: Callable[P, Call[Answer]]) -> Callable[Concatenate[Client, P], Answer]:
    """The call `make` as a method of Client."""

    @wraps(make)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return self.send(make(*args, **kwargs))

    return _described(method, make)


def _async(
    make: Callable[P, Call[Answer]],
) -> Callable[Concatenate[AsyncClient, P], Awaitable[Answer]]:
    """The call `make` as a method of AsyncClient."""

    @wraps(make)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return await self.send(make(*args, **kwargs))

    return _described(method, make)


Method = TypeVar("Method", bound=Callable[..., Any])


def _described(method: Method, make: Callable[..., Any]) -> Method:
    """Give the method the parameters of `make` with `self` in front, for `help`."""
    signature = inspect.signature(make)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[this, *signature.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    return method


class Client(_Sender):
    """The service for threads. Thread-safe; close it, or use it in a `with` block.

    `retries` is how often a call is tried again; `timeout` is in seconds; `transport` is
    httpx's, for tests and proxies. Methods raise ServiceError and Unreachable.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(base_url, api_key, retries)
        self._http = httpx.Client(timeout=timeout, transport=transport)

    def send(self, call: Call[Answer]) -> Answer:
        """Send a call, trying again as often as allowed."""
        attempt = 0
        while True:
            failure: httpx.TransportError | None = None
            response = None
            try:
                response = self._http.request(**self._request(call))
            except httpx.TransportError as error:
                failure = error
            wait = self._wait(attempt, response)
            if wait is None:
                if response is None:
                    raise Unreachable(f"no answer from {self._base}") from failure
                return _read(call, response)
            time.sleep(wait)
            attempt += 1

    def graphs(self) -> Iterator[Registered]:
        """All registered graphs, page by page."""
        cursor: str | None = None
        while True:
            page, cursor = self.send(calls.list_graphs(cursor=cursor))
            yield from page
            if cursor is None:
                return

    forward = _sync(calls.forward)
    gradient = _sync(calls.gradient)
    vjp = _sync(calls.vjp)
    jvp = _sync(calls.jvp)
    jacobian = _sync(calls.jacobian)
    hessian = _sync(calls.hessian)
    hvp = _sync(calls.hvp)
    check = _sync(calls.check)
    analyze = _sync(calls.analyze)
    gradient_graph = _sync(calls.gradient_graph)
    explain = _sync(calls.explain)
    diagram = _sync(calls.diagram)
    grade = _sync(calls.grade)
    grade_batch = _sync(calls.grade_batch)
    evaluate = _sync(calls.evaluate)
    register_task = _sync(calls.register_task)
    task = _sync(calls.task)
    delete_task = _sync(calls.delete_task)
    operators = _sync(calls.operators)
    operator = _sync(calls.operator)
    register = _sync(calls.register)
    registered = _sync(calls.registered)
    delete_graph = _sync(calls.delete_graph)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(_Sender):
    """The service for asyncio: the same methods, awaited. Use it in an `async with` block."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(base_url, api_key, retries)
        self._http = httpx.AsyncClient(timeout=timeout, transport=transport)

    async def send(self, call: Call[Answer]) -> Answer:
        """Send a call, trying again as often as allowed."""
        attempt = 0
        while True:
            failure: httpx.TransportError | None = None
            response = None
            try:
                response = await self._http.request(**self._request(call))
            except httpx.TransportError as error:
                failure = error
            wait = self._wait(attempt, response)
            if wait is None:
                if response is None:
                    raise Unreachable(f"no answer from {self._base}") from failure
                return _read(call, response)
            await asyncio.sleep(wait)
            attempt += 1

    async def graphs(self) -> AsyncIterator[Registered]:
        """All registered graphs, page by page."""
        cursor: str | None = None
        while True:
            page, cursor = await self.send(calls.list_graphs(cursor=cursor))
            for item in page:
                yield item
            if cursor is None:
                return

    forward = _async(calls.forward)
    gradient = _async(calls.gradient)
    vjp = _async(calls.vjp)
    jvp = _async(calls.jvp)
    jacobian = _async(calls.jacobian)
    hessian = _async(calls.hessian)
    hvp = _async(calls.hvp)
    check = _async(calls.check)
    analyze = _async(calls.analyze)
    gradient_graph = _async(calls.gradient_graph)
    explain = _async(calls.explain)
    diagram = _async(calls.diagram)
    grade = _async(calls.grade)
    grade_batch = _async(calls.grade_batch)
    evaluate = _async(calls.evaluate)
    register_task = _async(calls.register_task)
    task = _async(calls.task)
    delete_task = _async(calls.delete_task)
    operators = _async(calls.operators)
    operator = _async(calls.operator)
    register = _async(calls.register)
    registered = _async(calls.registered)
    delete_graph = _async(calls.delete_graph)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
