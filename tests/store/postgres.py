"""A PostgreSQL server of the tests' own, on loopback, in a folder that goes away."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


def find_postgres() -> Path | None:
    """The folder of the server's programs; None where PostgreSQL isn't installed."""
    for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (path / "initdb").exists():
            return path
    found = shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent


def free_port() -> int:
    """A port of loopback that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Postgres:
    """One server. `start` and `stop` may be called again and again; `close` removes it."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="gradient-pg-"))
        self._data = self._folder / "data"
        self._server: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root: the package's own user does it then.
        self._user = "postgres" if os.getuid() == 0 else getpass.getuser()
        if os.getuid() == 0:
            account = pwd.getpwnam(self._user)
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._run("initdb", ["-D", str(self._data), "-U", "tester", "-A", "trust", "-N"])
        self.port = free_port()
        self.url = f"postgresql://tester@127.0.0.1:{self.port}/postgres"

    def _as_user(self) -> dict[str, object]:
        if os.getuid() != 0:
            return {}
        return {"user": self._user, "group": self._user, "extra_groups": ()}

    def _run(self, program: str, arguments: Sequence[str]) -> None:
        subprocess.run(  # type: ignore[call-overload]
            [str(self._programs / program), *arguments],
            check=True,
            capture_output=True,
            timeout=60,
            cwd=self._folder,
            **self._as_user(),
        )

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        self._server = subprocess.Popen(  # type: ignore[call-overload]
            [
                str(self._programs / "postgres"),
                *("-D", str(self._data), "-p", str(self.port), "-h", "127.0.0.1"),
                *("-k", str(self._folder), "-c", "fsync=off"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            **self._as_user(),
        )
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                self._run("psql", ["-h", "127.0.0.1", "-p", str(self.port), "-U", "tester",
                                   "-c", "SELECT 1", "postgres"])  # fmt: skip
            except subprocess.CalledProcessError:
                time.sleep(0.1)
            else:
                return
        self.stop()
        raise TimeoutError("PostgreSQL did not start")

    def stop(self) -> None:
        """Stop at once, cutting connections."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait(10)
            self._server = None

    def close(self) -> None:
        """Stop and remove everything."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
