"""A graph's name that is no UTF-8 is refused as JSON that can't be read, at every endpoint."""

from __future__ import annotations

import json

import pytest

from service.app import make_context, operations
from service.errors import problem
from service.settings import Settings

PATHS = sorted(path for path in operations() if path.startswith("/v1/"))
NAMES = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80", b"\xe2\x82")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", NAMES)
def test_refused_as_malformed(path: str, name: bytes) -> None:
    body = b'{"graph":"' + name + b'","inputs":{"x":1},"submission":{}}'
    context = make_context(Settings())
    with pytest.raises(Exception) as raised:
        operations()[path].compute(body, context)
    refused = problem(raised.value)
    assert (refused.status, refused.code.name) == (400, "malformed_json")
    assert json.loads(refused.body(base="", request_id="r"))["detail"]
