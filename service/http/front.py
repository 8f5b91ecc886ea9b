"""The small ASGI application in front of FastAPI.

A POST to a compute endpoint goes the short way: from the bytes of the body straight to the
endpoint's two functions and back. Everything else goes to FastAPI. Both ways share what
stands here: keys and rates, media types, body limits, request ids, admission, metrics, logs
and the form of refusals.

The short way runs on the event loop only what is known to be cheaper than the hop to a
thread: small bodies whose computation is cheap by the Program's own cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from time import perf_counter
from typing import Any, TypeVar

from service.codes import Refusal
from service.engine.control import Control
from service.engine.errors import Cancelled, DeadlineExceeded
from service.engine.memory import give_back_freed_memory
from service.errors import MEDIA_TYPE, Problem, problem
from service.http import logs
from service.http.access import Access
from service.http.admission import Admission, Lane
from service.http.body import Bodies, Message, Receive
from service.http.endpoint import Answer, Endpoint
from service.http.headers import CLOSE, NOSNIFF, Cors, Header, secured
from service.http.logs import AccessLog
from service.http.media import JSON, check_accept, check_content
from service.http.metrics import Metrics, Route
from service.http.request_id import RequestIds
from service.http.state import State
from service.settings import ApiKey, Scope, Settings
from service.wire.context import WouldBlock

Send = Callable[[Message], Awaitable[None]]
Result = TypeVar("Result")
ASGI = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

REQUEST_ID = "service.request_id"
"""The key of the request's id in the ASGI scope."""
KEY = "service.key"
"""The key in the ASGI scope of the request's API key; None when the service is open."""
EXCHANGE = "service.exchange"
"""The key in the ASGI scope of a request that goes through FastAPI to be traced."""
HUNG_UP = 499
"""The status under which a request is counted whose client went away."""
TICK_SECONDS = 0.5
MEMORY_SECONDS = 10.0
"""How long freed memory is kept for the requests to come."""

_JSON_TYPE: Header = (b"content-type", b"application/json")
_PROBLEM_TYPE: Header = (b"content-type", MEDIA_TYPE.encode())
_OFFERED = (JSON, MEDIA_TYPE, "image/svg+xml", "text/plain", "application/x-ndjson")
_OPEN_PATHS = frozenset({"/healthz", "/readyz"})


class Exchange:
    """One request on its way through: what its answer, its count and its log line need."""

    __slots__ = (
        "code",
        "headers",
        "held",
        "key",
        "request_id",
        "sent",
        "started",
        "status",
    )

    def __init__(self, headers: Mapping[bytes, bytes], request_id: bytes) -> None:
        self.started = perf_counter()
        self.headers = headers
        self.request_id = request_id
        self.key: ApiKey | None = None
        self.code: str | None = None
        self.status = 0
        self.held = 0
        self.sent = 0


class Door:
    """A compute endpoint with its counts."""

    __slots__ = ("endpoint", "media", "path", "route", "scope")

    def __init__(self, endpoint: Endpoint, route: Route) -> None:
        self.endpoint = endpoint
        self.path = endpoint.path
        self.route = route
        self.scope: Scope = getattr(endpoint, "scope", "compute")
        self.media: tuple[str, ...] = getattr(endpoint, "media", (JSON,))

    def for_query(self, query: bytes) -> Endpoint:
        """The endpoint as this query string has it; most take no notice."""
        varied: Callable[[str], Endpoint] | None = getattr(self.endpoint, "for_query", None)
        return self.endpoint if varied is None else varied(query.decode("latin-1"))


class Front:
    """The service as one ASGI application."""

    def __init__(
        self,
        api: ASGI,
        endpoints: Iterable[Endpoint],
        settings: Settings,
        *,
        methods_of: Callable[[str], Iterable[str]],
        context: Any = None,
        metrics: Metrics | None = None,
        admission: Admission | None = None,
        state: State | None = None,
    ) -> None:
        self.api = api
        self.context = context
        self.settings = settings
        self._root = settings.root_path.rstrip("/")
        self.metrics = metrics or Metrics(settings.state_dir)
        self.admission = admission or Admission(settings)
        self.state = state or State()
        self.log = AccessLog(settings.access_log)
        self._access = Access(
            settings.all_keys(),
            rate_limit=settings.rate_limit,
            state_dir=settings.state_dir,
        )
        self._bodies = Bodies(settings, self.admission)
        self._cors = Cors(settings.cors_origins)
        self._ids = RequestIds()
        self._methods_of = methods_of
        self._doors = {
            endpoint.path: Door(endpoint, self.metrics.route(endpoint.path))
            for endpoint in endpoints
        }
        self.traced = False
        """Whether compute requests go through FastAPI, so that its telemetry sees them."""
        self._running = 0
        self._ticking: asyncio.TimerHandle | None = None
        self._memory_given_back = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        _register_gauges(self)

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return self._running

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.api(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self.start(loop)
        headers = dict(scope["headers"])
        exchange = Exchange(headers, self._ids.of(headers.get(b"x-request-id")))
        if self._root:
            # A proxy may leave its prefix on the path, or take it away.
            while scope["path"].startswith(self._root + "/"):
                scope["path"] = scope["path"][len(self._root) :]
        self._running += 1
        try:
            door = self._doors.get(scope["path"])
            if door is not None and scope["method"] == "POST":
                if self.traced:
                    scope[EXCHANGE] = exchange
                    await self.api(scope, receive, send)
                else:
                    await self._compute(door, exchange, scope, receive, send)
                self._finish(exchange, door.route, "POST")
            else:
                await self._pass_on(exchange, scope, receive, send)
                route = self.metrics.route(_template(scope))
                self._finish(exchange, route, _method(scope["method"]))
        finally:
            self._running -= 1
            self.admission.held_bytes -= exchange.held

    # The short way

    def handler(self, path: str) -> Traced:
        """The endpoint at `path` as an application behind FastAPI, for when it is traced."""
        return Traced(self, path)

    async def answer(
        self, path: str, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answer a request that came back from FastAPI."""
        await self._compute(self._doors[path], scope[EXCHANGE], scope, receive, send)

    async def _compute(
        self,
        door: Door,
        exchange: Exchange,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        headers = exchange.headers
        endpoint = door.endpoint
        try:
            # First of all, for a refusal too has the form that the query asks for.
            if scope["query_string"]:
                endpoint = door.for_query(scope["query_string"])
            exchange.key = self._access.admit(headers, door.scope)
            check_content(headers)
            check_accept(headers, door.media)
            body = await self._bodies.read(receive, headers)
            exchange.held = len(body)
            answer = await self._work(endpoint, body, receive)
        except Exception as error:
            own_form = getattr(endpoint, "refuse", None)
            instead: Answer | None = own_form(error) if own_form is not None else None
            await self._refuse(error, exchange, door.path, send, instead)
            return
        if type(answer) is bytes:
            content, kind, status = answer, _JSON_TYPE, 200
        else:
            assert isinstance(answer, Answer)
            content, status = answer.body, answer.status
            kind = (b"content-type", answer.media.encode())
        await self._send(exchange, send, status, [kind], content)

    async def _work(self, endpoint: Endpoint, body: bytes, receive: Receive) -> bytes | Answer:
        settings = self.settings
        context = self.context
        if len(body) <= settings.inline_body_bytes:
            try:
                work = endpoint.read(body, context, False)
            except WouldBlock:
                pass
            else:
                cost = work.cost
                self._count(cost)
                if cost.flops <= settings.inline_flops:
                    self.metrics.inline += 1
                    done: bytes | Answer = work.run(None)
                    return done
                job = Job(settings.deadline_seconds, receive)
                return await job.run(self._lane(cost.flops), lambda: work.run(job.control))
        job = Job(settings.deadline_seconds, receive)
        heavy = self.admission.heavy
        lane = heavy if len(body) > settings.light_body_bytes else self.admission.light

        def read_and_run() -> tuple[Any, bytes | Answer | None]:
            work = endpoint.read(body, context, True)
            if lane is heavy or lane is self._lane(work.cost.flops):
                job.control.check()
                return work, work.run(job.control)
            return work, None

        work, answer = await job.run(lane, read_and_run)
        self._count(work.cost)
        if answer is not None:
            return answer
        return await job.run(heavy, lambda: work.run(job.control))

    def _lane(self, flops: int) -> Lane:
        light = flops <= self.settings.light_flops
        return self.admission.light if light else self.admission.heavy

    def _count(self, cost: Any) -> None:
        self.metrics.nodes += getattr(cost, "nodes", 0)
        self.metrics.flops += cost.flops

    # The way through FastAPI

    async def _pass_on(
        self,
        exchange: Exchange,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        path, method = scope["path"], scope["method"]
        started = False

        async def relay(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                exchange.status = message["status"]
                message["headers"] = self._common(exchange, secured(message.get("headers", ())))
            else:
                exchange.sent += len(message.get("body", b""))
                if method == "HEAD":
                    message = {**message, "body": b""}
            await send(message)

        try:
            if method == "OPTIONS":
                await self._options(exchange, path, send)
                return
            if "\n" in path:
                # A route's pattern ends before a newline: it would be found past its door.
                raise Refusal("not_found", "nothing is found at this path")
            if path not in _OPEN_PATHS:
                exchange.key = self._access.admit(exchange.headers, _scope_of(path))
            if path.startswith("/v1/"):
                check_accept(exchange.headers, _OFFERED)
            inner = receive
            if _has_body(exchange.headers):
                check_content(exchange.headers)
                body = await self._bodies.read(receive, exchange.headers)
                exchange.held = len(body)
                inner = _replay(body, receive)
            scope[REQUEST_ID] = exchange.request_id.decode("latin-1")
            scope[KEY] = exchange.key
            passed = {**scope, "root_path": self._root, "path": self._root + path}
            if method == "HEAD":
                passed["method"] = "GET"
            await self.api(passed, inner, relay)
            scope["route"] = passed.get("route")
        except Exception as error:
            if not started:
                await self._refuse(error, exchange, _template(scope), send)
                return
            # Starlette raises again what its last handler has already answered.
            if problem(error).status >= 500:
                logs.failure(
                    error,
                    request_id=exchange.request_id.decode("latin-1"),
                    path=_template(scope),
                )

    def allowed(self, path: str) -> str:
        """The methods of a path, as the header Allow has them; nothing for no such path."""
        methods = set(self._methods_of(path))
        if path in self._doors:
            methods.add("POST")
        if "GET" in methods:
            methods.add("HEAD")
        return ", ".join(sorted(methods | {"OPTIONS"})) if methods else ""

    async def _options(self, exchange: Exchange, path: str, send: Send) -> None:
        allow = self.allowed(path).encode()
        if not allow:
            raise Refusal("not_found", "nothing is found at this path")
        headers: list[Header] = [(b"allow", allow), NOSNIFF]
        if self._cors.active and b"access-control-request-method" in exchange.headers:
            headers += self._cors.preflight(exchange.headers, allow)
            headers.append((b"x-request-id", exchange.request_id))
        else:
            headers = self._common(exchange, headers)
        exchange.status = 204
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    # Answers

    async def _refuse(
        self,
        error: Exception,
        exchange: Exchange,
        path: str,
        send: Send,
        instead: Answer | None = None,
    ) -> None:
        """Answer with the problem document of `error`, or with `instead` in its place.

        With nothing if nobody listens.
        """
        if isinstance(error, Cancelled):
            exchange.status = HUNG_UP
            self.metrics.hung_up += 1
            return
        found: Problem = problem(error)
        request_id = exchange.request_id.decode("latin-1")
        if found.status == 500:
            logs.failure(error, request_id=request_id, path=path)
        exchange.code = found.code.name
        self.metrics.error(found.code.name)
        headers = [(name.encode(), value.encode()) for name, value in found.headers]
        if instead is not None:
            headers.append((b"content-type", instead.media.encode()))
            await self._send(exchange, send, instead.status, headers, instead.body)
            return
        headers.append(_PROBLEM_TYPE)
        body = found.body(base=self.settings.public_url, request_id=request_id)
        await self._send(exchange, send, found.status, headers, body)

    async def _send(
        self,
        exchange: Exchange,
        send: Send,
        status: int,
        headers: list[Header],
        body: bytes,
    ) -> None:
        exchange.status = status
        exchange.sent = len(body)
        headers.append((b"content-length", b"%d" % len(body)))
        headers.append(NOSNIFF)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": self._common(exchange, headers),
            }
        )
        await send({"type": "http.response.body", "body": body})

    def _common(self, exchange: Exchange, headers: list[Header]) -> list[Header]:
        """`headers`, with those that every answer carries."""
        headers.append((b"x-request-id", exchange.request_id))
        if self._cors.active:
            headers.extend(self._cors.answer(exchange.headers))
        if self.state.draining:
            headers.append(CLOSE)
        return headers

    # Afterwards

    def _finish(self, exchange: Exchange, route: Route, method: str) -> None:
        seconds = perf_counter() - exchange.started
        status = exchange.status
        route.add(method, status, seconds)
        metrics = self.metrics
        metrics.bytes_in += exchange.held
        metrics.bytes_out += exchange.sent
        log = self.log
        if log.all or (status >= 400 and not log.off):
            log.add(
                request_id=exchange.request_id,
                method=method,
                path=route.path,
                status=status,
                seconds=seconds,
                code=exchange.code,
                key=None if exchange.key is None else exchange.key.name,
                bytes_in=exchange.held,
                bytes_out=exchange.sent,
            )

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin with what is done for all requests together; the first one does it too."""
        self._loop = loop
        self._tick()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._bodies.sweep(now)
        self.log.flush()
        self.metrics.publish()
        if now - self._memory_given_back > MEMORY_SECONDS:
            self._memory_given_back = now
            give_back_freed_memory()
        self._ticking = loop.call_later(TICK_SECONDS, self._tick)

    def close(self) -> None:
        """End the threads, and write what is still to be written."""
        if self._ticking is not None:
            self._ticking.cancel()
        self.log.flush()
        self.metrics.publish()
        self.admission.close()


class Traced:
    """A compute endpoint as FastAPI's router sees it: so it is recorded, and GET is a 405."""

    def __init__(self, front: Front, path: str) -> None:
        self._front = front
        self._path = path

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await self._front.answer(self._path, scope, receive, send)


class Job:
    """Work in a thread for one request, until its deadline or until its client goes away."""

    __slots__ = ("_end", "_receive", "control")

    def __init__(self, seconds: float, receive: Receive) -> None:
        self.control = Control(seconds)
        self._end = asyncio.get_running_loop().time() + seconds
        self._receive = receive

    async def run(self, lane: Lane, work: Callable[[], Result]) -> Result:
        """The result of `work`; raises Cancelled, DeadlineExceeded, or what `work` raises.

        A NumPy kernel can't be stopped, so an answer at the deadline does not wait for the
        thread: that goes on to the next node, where it sees that it has lost its purpose.
        """
        future = lane.submit(work)
        hang_up = asyncio.ensure_future(_hung_up(self._receive))
        try:
            await asyncio.wait(
                (future, hang_up),
                timeout=max(0.0, self._end - asyncio.get_running_loop().time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if future.done():
                return future.result()
            raise Cancelled if hang_up.done() else DeadlineExceeded
        finally:
            if not future.done():
                self.control.cancel()
                future.cancel()
            hang_up.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, and then what comes after it."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def _scope_of(path: str) -> Scope | None:
    """The scope that a path needs; None means any key."""
    for prefix, scope in _SCOPES:
        if path.startswith(prefix):
            return scope
    return None


_SCOPES: tuple[tuple[str, Scope], ...] = (
    ("/v1/tasks", "tasks"),
    ("/v1/grade", "grade"),
    ("/evaluate", "grade"),
    ("/metrics", "admin"),
    ("/v1/", "compute"),
    ("/tesseract", "compute"),
    ("/umbridge", "compute"),
)


def _template(scope: Mapping[str, Any]) -> str:
    """The path of the route that answered, not the path that was asked for."""
    path = getattr(scope.get("route"), "path", None)
    if path is None and scope["path"] in _OPEN_PATHS:
        path = scope["path"]
    return path or "other"


def _method(method: str) -> str:
    """The method, if it is one of the usual ones: a client could invent any number."""
    return method if method in _METHODS else "OTHER"


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _register_gauges(front: Front) -> None:
    metrics, admission = front.metrics, front.admission
    metrics.gauge("requests_running", "Requests being answered.", lambda: front.running)
    metrics.gauge("pending_bytes", "Bytes of bodies held in memory.", lambda: admission.held_bytes)
    for lane in (admission.light, admission.heavy):
        _lane_gauges(metrics, lane)


def _lane_gauges(metrics: Metrics, lane: Lane) -> None:
    metrics.gauge("lane_running", "Requests being computed.", lambda: lane.running, lane=lane.name)
    metrics.gauge(
        "lane_waiting",
        "Requests waiting for a thread.",
        lambda: lane.waiting,
        lane=lane.name,
    )
    metrics.counter(
        "lane_refused",
        "Requests refused as the queue was full.",
        lambda: lane.refused,
        lane=lane.name,
    )
