"""Reading JSON text: what the quick readers leave to be checked, and the strict reader.

The strict reader is for bodies that the quick one refused: it says what is wrong.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from service.engine.collector import CollectorHeldBack
from service.engine.errors import Fault, GraphError
from service.wire.errors import MalformedJson, TooDeep


def check_members_once(text: bytes, colons: int, members: int) -> None:
    """Raise MalformedJson when an object of `text` has two members of one name.

    `colons` is the number of colons in it and `members` that of the members which were
    decoded: where they agree no member was lost. A colon in a string, which is rare, makes
    them differ too; then the text is read again to see.
    """
    if colons != members:
        try:
            with CollectorHeldBack(len(text)):
                json.loads(text, object_pairs_hook=_members_once, parse_float=str, parse_int=str)
        except (UnicodeDecodeError, json.JSONDecodeError):
            # The quick reader passes over members that it doesn't know.
            raise MalformedJson("the body is not valid JSON in UTF-8") from None


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise MalformedJson(f"an object has two members named '{shown(name)}'")
            seen.add(name)
    return members


def shown(name: str) -> str:
    """A name that a client chose, cut and free of control characters and lone surrogates."""
    text = name if len(name) <= 64 else name[:63] + "…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "�" for character in text)


def encoded(document: Any) -> bytes:
    """A document that was read as JSON as a text again; lone surrogates are escaped.

    Raises GraphError for a number beyond the range of float64, which was read as an infinity.
    """
    try:
        return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        detail = "a number is beyond the range of float64"
        raise GraphError([Fault("invalid_tensor", detail, pointer="#")]) from None


def strict_json(body: bytes, max_depth: int) -> Any:
    """The document in `body`, with numbers as Python numbers.

    A number beyond the range of float64 comes out as an infinity, so that its place can be
    named. Raises MalformedJson (not UTF-8, not JSON, a bare NaN, a lone surrogate, two
    members of one name) or TooDeep.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        raise MalformedJson("the body is not UTF-8") from None
    check_depth(body, max_depth)
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError:
        pass  # a number out of range: JSON by its grammar
    except msgspec.DecodeError:
        raise _malformed(body) from None
    with CollectorHeldBack(len(body)):
        try:
            return json.loads(
                body,
                object_pairs_hook=_members_once,
                parse_constant=_no_constant,
                parse_float=float,
                parse_int=_integer,
            )
        except ValueError:
            raise MalformedJson("the body is not valid JSON") from None


def _no_constant(_: str) -> Any:
    raise MalformedJson('JSON has no bare NaN or Infinity: write "NaN", "Infinity", "-Infinity"')


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 310 else math.copysign(math.inf, float(digits[:2] + "0"))


def _malformed(body: bytes) -> MalformedJson:
    """Why no JSON reader takes a body in UTF-8, with line and column."""
    if not body.strip():
        return MalformedJson("the body is empty")
    if body.startswith(b"\xef\xbb\xbf"):
        return MalformedJson("the body starts with a byte order mark")
    try:
        json.loads(body.decode(), parse_constant=_no_constant)
    except MalformedJson as error:
        return error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return MalformedJson(f"not JSON at {place}: {error.msg.lower()}", error.lineno, error.colno)
    except ValueError:
        return MalformedJson("the body is not valid JSON")
    # The standard library lets this through, and it is all that it lets through.
    return MalformedJson("a \\u escape is half of a surrogate pair")


_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def check_depth(body: bytes, allowed: int) -> None:
    """Raise TooDeep when objects and lists are nested deeper than `allowed`."""
    if body.count(b"[") + body.count(b"{") <= allowed:
        return
    depth = 0
    for found in _BRACKETS.finditer(body):
        token = found[0]
        if token in b"[{":
            depth += 1
            if depth > allowed:
                raise TooDeep(allowed)
        elif token in b"]}":
            depth -= 1
