"""Who may ask for what, and how often: API keys with scopes and rates.

A key is known by its SHA-256 only. Every key is compared with every request's digest, in
constant time, so that the answer's timing says nothing of which one came near. Rates are
kept as one number per key (the generic cell rate algorithm); with several workers that
number lies in a file they share, so that a rate holds for the service and not per worker.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from math import ceil
from pathlib import Path
from typing import Protocol

from service.codes import Refusal
from service.settings import ApiKey, Scope

_CHALLENGE = (("www-authenticate", 'Bearer realm="gradient-service"'),)


class Slots(Protocol):
    """One number per key, changed under a lock."""

    def take(self, index: int, interval: float, tolerance: float) -> float:
        """0.0 if the key may go on now, else the seconds until it may."""


def next_slot(arrival: float, now: float, interval: float, tolerance: float) -> tuple[float, float]:
    """The new theoretical arrival time, and 0.0 or the seconds to wait.

    `arrival` is never later than this clock allows: a later one was kept from before the
    machine started anew, and its clock with it.
    Source: ITU-T I.371, the generic cell rate algorithm in its virtual-scheduling form.
    """
    arrival = max(min(arrival, now + tolerance + interval), now)
    wait = arrival - now - tolerance
    if wait > 1e-9:
        return arrival, wait
    return arrival + interval, 0.0


class LocalSlots:
    """For one process; its event loop is the only one that asks."""

    def __init__(self, keys: int) -> None:
        self._arrivals = [0.0] * keys

    def take(self, index: int, interval: float, tolerance: float) -> float:
        self._arrivals[index], wait = next_slot(
            self._arrivals[index], time.monotonic(), interval, tolerance
        )
        return wait


class SharedSlots:
    """For several processes on one machine: a small file, mapped and locked.

    The clock is the monotonic one, which all processes of a machine share and which does
    not jump when the wall clock is set.
    """

    _NUMBER = struct.Struct("d")

    def __init__(self, path: Path, keys: int) -> None:
        size = max(1, keys) * self._NUMBER.size
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(self._file).st_size < size:
            os.ftruncate(self._file, size)
        self._map = mmap.mmap(self._file, size)

    def take(self, index: int, interval: float, tolerance: float) -> float:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            offset = index * self._NUMBER.size
            (arrival,) = self._NUMBER.unpack_from(self._map, offset)
            arrival, wait = next_slot(arrival, time.monotonic(), interval, tolerance)
            self._NUMBER.pack_into(self._map, offset, arrival)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        return wait


class Access:
    """The keys of a service. Without keys it is open to all."""

    def __init__(
        self,
        keys: Sequence[ApiKey],
        *,
        rate_limit: float | None = None,
        state_dir: Path | None = None,
    ) -> None:
        self.open = not keys
        self._keys = [
            (
                bytes.fromhex(key.sha256),
                key,
                _rate(key, rate_limit),
            )
            for key in keys
        ]
        self._slots: Slots = (
            LocalSlots(len(keys))
            if state_dir is None
            else SharedSlots(state_dir / "rates", len(keys))
        )

    def admit(self, headers: Mapping[bytes, bytes], scope: Scope | None) -> ApiKey | None:
        """The request's key; None when the service is open.

        `scope` None means that any key will do.
        Raises Refusal: unauthorized, forbidden, too_many_requests.
        """
        if self.open:
            return None
        given = _given(headers)
        if given is None:
            raise Refusal("unauthorized", "this service needs an API key", headers=_CHALLENGE)
        digest = sha256(given).digest()
        found = -1
        for index, (known, _, _) in enumerate(self._keys):
            if compare_digest(known, digest):
                found = index
        if found < 0:
            raise Refusal("unauthorized", "this API key is not known", headers=_CHALLENGE)
        _, key, rate = self._keys[found]
        if scope is not None and not key.may(scope):
            raise Refusal("forbidden", f"this key does not have the scope '{scope}'")
        if rate is not None:
            wait = self._slots.take(found, *rate)
            if wait:
                raise Refusal(
                    "too_many_requests",
                    "this key's rate is used up",
                    headers=(("retry-after", str(max(1, ceil(wait)))),),
                )
        return key


def _rate(key: ApiKey, default: float | None) -> tuple[float, float] | None:
    """Interval between requests and the tolerance that lets a burst through, in seconds."""
    rate = key.rate or default
    if rate is None:
        return None
    burst = key.burst or max(1, ceil(2 * rate))
    return 1 / rate, (burst - 1) / rate


def _given(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key of `Authorization: Bearer …` or `X-API-Key`."""
    authorization = headers.get(b"authorization")
    if authorization is not None:
        kind, _, value = authorization.partition(b" ")
        if kind.lower() == b"bearer" and value.strip():
            return value.strip()
    return headers.get(b"x-api-key")
