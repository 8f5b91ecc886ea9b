"""The way of every request: one pipeline of checks, around FastAPI.

    request id → key and rate → media types → bounded body → route → headers, count, log

All checks stand before the fork between the shortcut and FastAPI, so that there is nothing to
get round. The shortcut is a dictionary of the operations that are executed without FastAPI in
between. When it is empty every answer stays the same, and takes longer; so it is while
OpenTelemetry is collected, and while the application has middleware of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import perf_counter

from service.codes import Refusal
from service.engine.errors import Cancelled
from service.errors import MEDIA_TYPE, problem
from service.http import logs, telemetry
from service.http.access import Access
from service.http.asgi import ASGI, Message, Receive, Scope, Send
from service.http.body import Bodies
from service.http.compression import SMALLEST, not_packing, packing, takes_gzip
from service.http.execution import Execution
from service.http.head import check_head, joined
from service.http.headers import CLOSE, NOSNIFF, Header, Secured
from service.http.logs import AccessLog
from service.http.media import JSON, check_accept, check_content
from service.http.metrics import Metrics
from service.http.operation import Handler
from service.http.patience import Patience
from service.http.pools import Pools
from service.http.prepared import Answer
from service.http.request_context import ABORT, CONTEXT, RequestContext
from service.http.request_id import RequestIds
from service.http.routing import RouteTable, Target
from service.http.state import State
from service.http.writing import Writing
from service.settings import Settings

HUNG_UP = 499
"""The status under which a request is counted whose client went away."""

_JSON_TYPE: Header = (b"content-type", JSON.encode())
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBLEM = Handler(lambda *_: NotImplemented)
"""Refuses with the problem document."""


class Pipeline:
    """The ASGI application around FastAPI; `api` is FastAPI's own."""

    def __init__(
        self,
        api: ASGI,
        routes: RouteTable,
        settings: Settings,
        *,
        execution: Execution,
        pools: Pools,
        metrics: Metrics,
        state: State,
    ) -> None:
        self.api = api
        self.routes = routes
        self.settings = settings
        self.execution = execution
        self.pools = pools
        self.metrics = metrics
        self.state = state
        self.shortcut: dict[str, Target] = {}
        self.log = AccessLog(settings.access_log)
        self.bodies = Bodies(settings, pools)
        self.writing = Patience(settings.write_seconds)
        self.running = 0
        self._root = settings.root_path.rstrip("/")
        self._secured = Secured(settings.frame_ancestors)
        self._access = Access(
            settings.all_keys(),
            rate_limit=settings.rate_limit,
            state_dir=settings.state_dir,
        )
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        headers = dict(scope["headers"])
        context = RequestContext(headers, self._ids.of(headers.get(b"x-request-id")))
        path, method, root = scope["path"], scope["method"], scope.get("root_path", "")
        if root or self._root:
            path, root = self._without_prefix(path, root)
        target = self.shortcut.get(path) if method == "POST" else None
        short = target is not None
        if target is None:
            target = self.routes.find(path, method)
        handler = _PROBLEM
        send = Writing(context, self.writing, self.pools, send, content=method != "HEAD")
        self.running += 1
        try:
            if len(headers) != len(scope["headers"]):
                context.headers = joined(scope["headers"])
            check_head(context.headers, scope.get("http_version", ""))
            if "\n" in path:
                # A route's pattern ends before a newline: it would be found past its policy.
                raise Refusal("not_found", "nothing is found at this path")
            if method == "OPTIONS":
                await self._options(context, path, send)
                return
            if target.operation is not None:
                handler = target.operation.choose(scope)
            body = await self._admit(target, context, receive)
            if short:
                answer = await self.execution.run(handler.parse, body, receive, context)
                await self._send(context, send, answer)
            else:
                scope = {**scope, "root_path": root, "path": root + path, CONTEXT: context}
                if context.unpacked:
                    scope["headers"] = _without_coding(scope["headers"], body)
                await self._call_api(target, context, scope, _replay(body, receive), send)
        except Exception as error:
            if not context.status:
                await self._refuse(error, context, target, send, handler)
            elif context.refused is error or isinstance(context.refused, Cancelled):
                # FastAPI raises again what it has answered with its last handler.
                self._count_refusal(context.refused, context, target)
            elif problem(error).status >= 500:
                self._failed(error, context, target)
        finally:
            self.running -= 1
            self.pools.release(context.held)
            self.pools.unsent -= context.unsent
            self._finish(context, target, method if method in _METHODS else "OTHER")
            if context.status == HUNG_UP and ABORT in scope:
                scope[ABORT]()  # What waits to be sent would keep the connection open.
                await asyncio.sleep(0)

    def lets_in(self, scope: Scope) -> bool:
        """Whether a websocket, which only routers of others have, comes with a key."""
        try:
            self._access.admit(dict(scope["headers"]), None)
        except Refusal:
            return False
        return True

    def _without_prefix(self, path: str, root: str) -> tuple[str, str]:
        """The path as the routes have it, and the prefix that stands before it.

        The prefix is that of the application in which this one is mounted, and that of the
        settings, which a proxy may leave on the path or take away.
        """
        if root and (path == root or path.startswith(root + "/")):
            path = path[len(root) :]
        if self._root:
            while path.startswith(self._root + "/"):
                path = path[len(self._root) :]
            if not root.endswith(self._root):
                root += self._root
        return path, root

    async def _admit(self, target: Target, context: RequestContext, receive: Receive) -> bytes:
        """The body of a request that passes every check. Raises the Refusal of any other."""
        headers = context.headers
        if target.guarded:
            context.key = self._access.admit(headers, target.scope)
        packed = (target.operation is not None or _has_body(headers)) and check_content(headers)
        if target.offers is not None:
            check_accept(headers, target.offers)
        body = await self.bodies.read(receive, headers, target.max_body)
        context.held = len(body)
        if packed:
            body = await self.bodies.unpack(body, target.max_body)
            self.pools.release(context.held)
            context.held, context.unpacked = len(body), True
        return body

    async def _call_api(
        self, target: Target, context: RequestContext, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let FastAPI answer, and add to its answer what every answer carries."""
        if scope["method"] == "HEAD":
            scope["method"] = "GET"
        if takes_gzip(context.headers.get(b"accept-encoding", b"")):
            send = packing(send, quick=target.operation is not None)
        elif target.operation is None:
            send = not_packing(send)

        async def relay(message: Message) -> None:
            if isinstance(context.refused, Cancelled):
                return
            if message["type"] == "http.response.start":
                context.status = message["status"]
                context.trace_id = telemetry.annotate(context.refused)
                headers = list(message.get("headers", ()))
                if target.operation is None:
                    headers = self._secured(headers)
                else:
                    headers.append(NOSNIFF)
                message["headers"] = self._common(context, headers)
            await send(message)

        await self.api(scope, receive, relay)
        if context.refused is not None:
            self._count_refusal(context.refused, context, target)

    async def _options(self, context: RequestContext, path: str, send: Send) -> None:
        allow = self.routes.allowed(path).encode()
        if not allow:
            raise Refusal("not_found", "nothing is found at this path")
        headers = self._common(context, [(b"allow", allow), NOSNIFF])
        context.status = 204
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    # Answers

    async def _send(
        self,
        context: RequestContext,
        send: Send,
        answer: bytes | Answer,
        headers: list[Header] | None = None,
    ) -> None:
        """Send a whole answer: `headers`, and those that every answer carries."""
        if isinstance(answer, Answer):
            body, status = answer.body, answer.status
            kind = (b"content-type", answer.media.encode())
        else:
            body, status, kind = answer, 200, _JSON_TYPE
        context.status = status
        accepted = context.headers.get(b"accept-encoding")
        if accepted is not None and len(body) >= SMALLEST and takes_gzip(accepted):
            send = packing(send, quick=True)
        headers = [] if headers is None else headers
        if isinstance(answer, Answer):
            headers += [(name.encode(), value.encode()) for name, value in answer.headers]
        headers += (kind, (b"content-length", b"%d" % len(body)), NOSNIFF)
        headers = self._common(context, headers)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _refuse(
        self,
        error: Exception,
        context: RequestContext,
        target: Target,
        send: Send,
        handler: Handler,
    ) -> None:
        """Answer with the operation's own form of a refusal, or with the problem document.

        With nothing if nobody listens.
        """
        self._count_refusal(error, context, target)
        if isinstance(error, Cancelled):
            return
        refusal = problem(error)
        answer = handler.refusal(error)
        if answer is None:
            request_id = context.request_id.decode("latin-1")
            body = refusal.body(base=self.settings.public_url, request_id=request_id)
            answer = Answer(body, MEDIA_TYPE, refusal.status)
        headers = [(name.encode(), value.encode()) for name, value in refusal.headers]
        await self._send(context, send, answer, headers)

    def _count_refusal(self, error: Exception, context: RequestContext, target: Target) -> None:
        context.refused = error
        if isinstance(error, Cancelled):
            context.status = HUNG_UP
            self.metrics.hung_up += 1
            return
        code = problem(error).code
        context.code = code.name
        self.metrics.error(code.name)
        if code.status == 500:
            self._failed(error, context, target)

    def _failed(self, error: Exception, context: RequestContext, target: Target) -> None:
        request_id = context.request_id.decode("latin-1")
        logs.failure(error, request_id=request_id, path=target.template)

    def _common(self, context: RequestContext, headers: list[Header]) -> list[Header]:
        """`headers`, with those that every answer carries."""
        headers.append((b"x-request-id", context.request_id))
        if self.state.draining:
            headers.append(CLOSE)
        return headers

    def _finish(self, context: RequestContext, target: Target, method: str) -> None:
        """Count the request, and log it where the settings want it."""
        seconds = perf_counter() - context.started
        status = context.status
        metrics = self.metrics
        metrics.route(target.template).add(method, status, seconds)
        metrics.bytes_in += context.held
        metrics.bytes_out += context.sent
        log = self.log
        if log.all or (status >= 400 and not log.off):
            log.add(
                request_id=context.request_id,
                method=method,
                path=target.template,
                status=status,
                seconds=seconds,
                code=context.code,
                key=None if context.key is None else context.key.name,
                bytes_in=context.held,
                bytes_out=context.sent,
                trace_id=context.trace_id,
            )


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


def _without_coding(headers: list[Header], body: bytes) -> list[Header]:
    """The headers of a request whose body was unpacked."""
    coded = (b"content-encoding", b"content-length")
    kept = [header for header in headers if header[0] not in coded]
    return [*kept, (b"content-length", b"%d" % len(body))]


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
