"""Request ids: the client's own where it sent a harmless one, else a new one."""

from __future__ import annotations

import re
import secrets
from itertools import count

_HARMLESS = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}").fullmatch


class RequestIds:
    """New ids are unique over processes: 64 random bits, and a number that counts up."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8).encode()
        self._next = count(1).__next__

    def of(self, given: bytes | None) -> bytes:
        """`given` if it can stand in a header and a log as it is, else a new id."""
        if given is not None and _HARMLESS(given):
            return given
        return b"%s-%x" % (self._prefix, self._next())
