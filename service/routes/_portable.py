"""Schemas in the form that code generators understand, with the same meaning.

What generators make of a schema differs where it leaves them a choice. Here it leaves none:
numbers say how wide they are; a union is `oneOf`, since many merge the members of `anyOf`;
`null` is a type beside the other; a default stands in the description, for a member that has
one is optional in a request and no generator agrees on what that makes of an answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from service.errors import MEDIA_TYPE

_FORMATS = {"number": "double", "integer": "int64"}


def portable(schema: Any) -> Any:
    """The schema, or any part of a document, in that form; examples stay as they are."""
    if isinstance(schema, list):
        return [portable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _member(key, value) for key, value in schema.items()}
    if isinstance(changed.get("anyOf"), list):
        changed = _union(changed.pop("anyOf"), changed)
    kind = changed.get("type")
    for name in kind if isinstance(kind, list) else [kind]:
        if name in _FORMATS:
            changed.setdefault("format", _FORMATS[name])
    default = changed.pop("default", None)
    if default not in (None, [], {}):
        words = [changed.get("description", "").removesuffix("."), f"default `{_text(default)}`"]
        changed["description"] = "; ".join(filter(None, words))
    return changed


def _member(key: str, value: Any) -> Any:
    if key in ("example", "examples", "enum"):
        return value
    if key not in ("properties", "schemas"):
        return portable(value)
    changed = {name: portable(member) for name, member in value.items()}
    for name, member in changed.items():
        if member.get("title", "").lower().replace(" ", "") == name.lower().replace("_", ""):
            del member["title"]
    return changed


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _union(members: list[Any], rest: dict[str, Any]) -> dict[str, Any]:
    """A union of two with null as one schema of two types, where the other has a type."""
    others = [member for member in members if member != {"type": "null"}]
    if len(others) == len(members) - 1 == 1 and isinstance(others[0].get("type"), str):
        only = others[0]
        found = {**only, **rest, "type": [only["type"], "null"]}
        if "enum" in only:
            found["enum"] = [*only["enum"], None]
        return found
    return {**rest, "oneOf": members}


def share_refusals(document: dict[str, Any]) -> None:
    """Move refusals that several operations answer with to the document's components."""
    shared: dict[str, Any] = document["components"].setdefault("responses", {})
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    name = _name(status, answer["content"])
                    assert shared.setdefault(name, answer) == answer, f"two answers named {name}"
                    operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}


def _name(status: str, content: Mapping[str, Any]) -> str:
    """The name of the answer's own form, or that of its status."""
    for media, form in content.items():
        if media != MEDIA_TYPE:
            return str(form["schema"]["$ref"].rpartition("/")[2])
    return HTTPStatus(int(status)).phrase.title().replace(" ", "").replace("-", "")
