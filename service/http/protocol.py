"""uvicorn's HTTP protocol with the patience of a public service.

uvicorn by itself keeps a connection open for ever that sends no request, half a head, or a
head without an end. Here heads have a deadline and a size, connections are counted, every
refusal is a problem document, and a connection that is told to close during shut-down
still answers a request that is already on its way. (Slow bodies are the front's business:
it knows which request they belong to.)
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.codes import Refusal
from service.errors import MEDIA_TYPE, problem
from service.http.request_context import ABORT
from service.settings import Settings, get_settings

NOT_HTTP = Refusal("bad_request", "this is not HTTP/1.1")
TOO_LARGE = Refusal("header_too_large", "the request's head has too many bytes")
SWEEP_SECONDS = 0.5
LINGER_SECONDS = 0.5
"""How long an idle connection stays readable after the door was closed."""


class PatientProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._settings = get_settings()
        self._head_since: float | None = None
        self._head_bytes = 0
        self._closing = False
        self._receiving = False
        self._draining_since: float | None = None
        self._closing_since: float | None = None
        self._paused_since: float | None = None
        self._packet = 0
        self._fault = NOT_HTTP
        self._refusal: Refusal | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, JoiningTransport(transport)))
        self._head_since = self.loop.time()
        Sweeper.of(self.server_state, self.loop, self._settings)
        if len(self.connections) > self._settings.max_connections:
            retry = (("retry-after", str(self._settings.retry_after_seconds)),)
            self._answer(Refusal("overloaded", "too many connections", headers=retry))
            self.transport.close()

    def on_response_complete(self) -> None:
        self.transport.flush()  # type: ignore[attr-defined]
        last = not self.pipeline
        super().on_response_complete()
        if last and self._refusal is not None:
            self._answer(self._refusal)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_since = self.loop.time()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._receiving = False
        self._draining_since = None

    def on_headers_complete(self) -> None:
        most = self._settings.max_header_bytes
        if self._head_bytes + self._packet > most and self._bytes_of_head() > most:
            self._fault = TOO_LARGE
            raise TOO_LARGE
        self._head_since = None
        self._head_bytes = 0
        self._receiving = True
        super().on_headers_complete()
        self.scope[ABORT] = self.transport.abort  # type: ignore[literal-required]
        if self._closing and self.cycle is not None:
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        if b"pgrade" in data and (self._head_since is not None or self._idle):
            data = _without_upgrade(data)
        if self._refusal is not None:
            return  # Dropped, so that its sender reads the refusal.
        self._packet = len(data)
        super().data_received(data)
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self._settings.max_header_bytes:
                self._refuse(TOO_LARGE)
        elif self._receiving:
            if self._idle and self._draining_since is None:
                # The rest of a body whose request was refused is read and dropped.
                self._draining_since = self.loop.time()
        elif self._idle:
            # Bytes that begin no message (blank lines) must not keep a connection open.
            self._head_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._fault)

    def shutdown(self) -> None:
        """Close when idle, but not on a request whose first bytes are on their way."""
        self._closing = True
        if self._idle:
            self.loop.call_later(LINGER_SECONDS, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def pause_writing(self) -> None:
        self._paused_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._paused_since = None
        super().resume_writing()

    def late(self, now: float) -> None:
        """End a connection whose head, or the rest of whose refused body, takes too long.

        And one that was closed, but waits for its client to read what is still in it.
        """
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > self._settings.write_seconds:
                self.transport.abort()
            return
        paused = self._paused_since
        if paused is not None and now - paused > self._settings.write_seconds + SWEEP_SECONDS:
            self.transport.abort()  # The application looks after large answers itself.
            return
        drained = self._draining_since
        if drained is not None and now - drained > self._settings.header_seconds:
            self.transport.close()
            return
        since = self._head_since
        if since is None or now - since < self._settings.header_seconds:
            return
        if self._head_bytes:
            self._refuse(Refusal("request_timeout", "the request's head took too long"))
        else:
            self.transport.close()

    def _bytes_of_head(self) -> int:
        """What came with it in one packet is not counted."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    @property
    def _idle(self) -> bool:
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.disconnected

    def _close_if_idle(self) -> None:
        if self._idle and not self._head_bytes and not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        """Refuse what the application is not asked for, after the answers to what came before."""
        if self._refusal is not None:
            return
        self._refusal = refusal
        self._head_since = None
        self._head_bytes = 0
        if self._receiving and self.pipeline:
            self.pipeline.popleft()  # Its body is not HTTP, and its turn had not come.
        elif self._receiving and self.cycle.response_started:
            self.transport.close()
        elif self._receiving:
            self.cycle.scope.pop(ABORT, None)  # type: ignore[misc]
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._answer(refusal)
        elif self._idle:
            self._answer(refusal)

    def _answer(self, refusal: Refusal) -> None:
        """Answer without the application, and close when the client has."""
        if self.transport.is_closing():
            return
        document = problem(refusal)
        body = document.body(base=self._settings.public_url)
        head = [
            f"HTTP/1.1 {document.status} {HTTPStatus(document.status).phrase}",
            f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(body)}",
            "connection: close",
            *(f"{name}: {value}" for name, value in document.headers),
        ]
        self._unset_keepalive_if_required()
        self.transport.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        self.transport.flush()  # type: ignore[attr-defined]
        self.transport.write_eof()
        # A connection that is closed with unread bytes is reset, and the refusal with it.
        self._draining_since = self.loop.time()

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade that isn't offered is answered as if it had not been asked for."""


_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


def _without_upgrade(data: bytes) -> bytes:
    """A head whose `Upgrade` is another header: the parser drops the body behind that one.

    Clients that know HTTP/2 send `Upgrade: h2c` with their first request, a POST too.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest


class JoiningTransport:
    """A transport that sends a response's head together with the body that follows.

    uvicorn writes them one after the other. Each write is a system call, during which the
    interpreter goes to a computing thread, from which it has to be taken back.
    """

    __slots__ = ("_held", "_transport", "write_raw")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""
        self.write_raw = transport.write

    def write(self, data: bytes) -> None:
        """Hold a final response's head; send anything else, after what is held."""
        held = self._held
        if held:
            self._held = b""
            if len(data) <= _JOIN_BYTES:
                self.write_raw(held + data)
                return
            self.write_raw(held)
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._held = data
            return
        self.write_raw(data)

    def flush(self) -> None:
        """Send what is held: an answer without a body is complete without a further write."""
        if self._held:
            held, self._held = self._held, b""
            self.write_raw(held)

    def close(self) -> None:
        """Send what is held, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


_JOIN_BYTES = 65_536


class Sweeper:
    """Looks after all connections of a server twice a second: cheaper than a timer for each."""

    def __init__(
        self, state: ServerState, loop: asyncio.AbstractEventLoop, settings: Settings
    ) -> None:
        self._connections = state.connections
        self._loop = loop
        self._running = False

    @classmethod
    def of(cls, state: ServerState, loop: asyncio.AbstractEventLoop, settings: Settings) -> Sweeper:
        """The sweeper of this server, running."""
        sweeper: Sweeper | None = getattr(state, "sweeper", None)
        if sweeper is None:
            sweeper = cls(state, loop, settings)
            state.sweeper = sweeper  # type: ignore[attr-defined]
        sweeper.start()
        return sweeper

    def start(self) -> None:
        """Go on as long as there are connections."""
        if not self._running:
            self._running = True
            self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._running = False
        now = self._loop.time()
        for connection in list(self._connections):
            if isinstance(connection, PatientProtocol):
                connection.late(now)
        if self._connections:
            self.start()
