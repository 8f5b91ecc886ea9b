"""A pool on a Ray cluster. Needs the extra `cluster`, and this package on every node."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from service.bulk.blocks import Done, Failed, Function, Lost, Outcome, Running

_LOOK_SECONDS = 2.0
"""How often the number of cores is asked for: nodes come and go."""


_KNOCK_SECONDS = 5.0


class Cluster:
    """The cluster at `address`: "auto" for the one that this machine belongs to,
    "ray://HOST:PORT" for one elsewhere, "local" to start one here. `options` go to
    `ray.init`. Raises ImportError without Ray, ConnectionError when nobody answers.
    """

    def __init__(self, address: str = "auto", **options: Any) -> None:
        self.address = address
        self._options = options

    @contextmanager
    def open(self, function: Function, shared: Any) -> Iterator[Running]:
        """See `Pool.open`."""
        try:
            import ray
        except ImportError as error:
            raise ImportError(
                "Ray is not installed: pip install 'gradient-service[cluster]'"
            ) from (error)

        ours = not ray.is_initialized()
        if ours:
            _knock(self.address)
            defaults: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
            if self.address == "local":
                defaults["include_dashboard"] = False
            ray.init(address=self.address, **(defaults | self._options))
        try:
            yield _Tasks(ray, function, shared)
        finally:
            if ours:
                ray.shutdown()


def _knock(address: str) -> None:
    """Raise ConnectionError at once where nobody listens: Ray itself tries for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(f"no Ray cluster answers at {address}: {error}") from None


def _run(call: tuple[Function, Any], block: Any) -> Any:
    function, shared = call
    return function(shared, block)


class _Tasks:
    def __init__(self, ray: Any, function: Function, shared: Any) -> None:
        self._ray = ray
        self._call = ray.put((function, shared))
        # Ray would run a lost task again by itself, and rebuild its result: both are left
        # to `run_blocks`, which counts, and does it in the same way for every pool.
        self._task = ray.remote(_run).options(max_retries=0)
        self._waiting: dict[Any, int] = {}
        self._width = 0
        self._looked = float("-inf")

    @property
    def width(self) -> int:
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._width = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        return self._width

    def submit(self, index: int, block: Any) -> None:
        self._waiting[self._task.remote(self._call, block)] = index

    def wait(self) -> Iterable[tuple[int, Outcome]]:
        done, _ = self._ray.wait(list(self._waiting), num_returns=1)
        return [(self._waiting.pop(reference), self._outcome(reference)) for reference in done]

    def _outcome(self, reference: Any) -> Outcome:
        errors = self._ray.exceptions
        try:
            return Done(self._ray.get(reference))
        except errors.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            return Failed(cause)
        except (errors.RayError, ConnectionError) as error:
            return Lost(f"{type(error).__name__}")
