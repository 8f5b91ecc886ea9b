"""A real server for a test: `gradient-service serve` on loopback, ended by its own id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Server:
    """A running service."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM, then wait; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    folder: Path, *arguments: str, program: str = "", path: Path = ROOT, **settings: str
) -> Iterator[Server]:
    """Serve with these settings (`drain_seconds="0"`) until the block ends.

    `program` is Python that runs in place of `-m service serve`; `path` is a further folder
    to import from.
    """
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GRADIENT_")
    }
    environment |= {"GRADIENT_DRAIN_SECONDS": "0", "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    environment["DATABASE_URL"] = settings.pop("database_url", f"sqlite:///{folder}/service.db")
    environment |= {f"GRADIENT_{name.upper()}": value for name, value in settings.items()}
    environment["GRADIENT_PORT"] = str(port)
    log = folder / f"server-{port}.log"
    start = [sys.executable, "-c", program] if program else [sys.executable, "-m", "service"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*start, *([] if program else ["serve"]), *arguments],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        _wait(process, port, log)
        yield Server(process, port, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-4000:]}")
