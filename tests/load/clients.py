"""Clients that keep a service busy and check every answer."""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """A request, and what its answer must be. `hang_up` is when the client goes away."""

    name: str
    path: str
    body: bytes
    status: int
    check: Callable[[bytes], bool]
    hang_up: float | None = None


@dataclass
class Tally:
    """What happened, by case. All clients add to one."""

    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unreached: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client(threading.Thread):
    """Sends cases, drawn from a seed, over one connection that it opens again when closed."""

    def __init__(
        self, port: int, cases: list[Case], tally: Tally, stop: threading.Event, seed: int
    ) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._cases = cases
        self._tally = tally
        self._stop_event = stop
        self._random = random.Random(seed)
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self._stop_event.is_set():
            case = self._random.choice(self._cases)
            if case.hang_up is not None:
                self._hang_up(case)
            else:
                self._ask(case)
        self._close()

    def _ask(self, case: Case) -> None:
        fresh = self._connection is None
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                self._connection.connect()
            except OSError:
                with self._tally.lock:
                    self._tally.unreached += 1
                self._close()
                time.sleep(0.05)
                return
        try:
            self._connection.request("POST", case.path, case.body)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._close()
            with self._tally.lock:
                kind = "on a new connection" if fresh else "on an open connection"
                self._tally.lost.append(f"{case.name}: {type(error).__name__} {kind}")
            return
        self._note(case, answer.status, content)
        if answer.will_close:
            self._close()
        if answer.status == 503:
            time.sleep(0.02)

    def _note(self, case: Case, status: int, content: bytes) -> None:
        tally = self._tally
        with tally.lock:
            tally.statuses[status] += 1
            if status == 503 and case.status != 503:
                tally.refused[case.name] += 1
            elif status == case.status and case.check(content):
                tally.done[case.name] += 1
            else:
                tally.wrong.append(f"{case.name}: {status} {content[:300]!r}")

    def _hang_up(self, case: Case) -> None:
        """Send a request and go away before its answer."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
                head = f"POST {case.path} HTTP/1.1\r\nHost: x\r\n"
                head += f"Content-Length: {len(case.body)}\r\n\r\n"
                connection.sendall(head.encode() + case.body)
                time.sleep(case.hang_up or 0)
        except OSError:
            return
        with self._tally.lock:
            self._tally.done[case.name] += 1

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Pulse(threading.Thread):
    """Asks /healthz twenty times a second, and keeps how long each answer took."""

    def __init__(self, port: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._stop_event = stop
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._stop_event.wait(0.05):
            started = time.perf_counter()
            try:
                connection.request("GET", "/healthz")
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failures.append(str(answer.status))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(type(error).__name__)
                connection.close()
            self.seconds.append(time.perf_counter() - started)
        connection.close()

    def percentile(self, share: float) -> float:
        """The duration that `share` of all answers did not pass, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
