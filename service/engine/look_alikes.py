"""Names that look alike and aren't: µ and μ, a Latin a and a Cyrillic one."""

from __future__ import annotations

import unicodedata

_LATIN = dict(
    zip(
        "аеорсухіјѕԁԛԝАВЕКМНОРСТХІЈЅαβεικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧℓ∂ø",
        "aeopcyxijsdqwABEKMHOPCTXIJSaBeiKvoptuxABEZHIKMNOPTYXl6o",
        strict=True,
    )
)


def skeleton(name: str) -> str:
    """The name with every character replaced by the Latin one that it looks like."""
    return "".join(_LATIN.get(c, c) for c in unicodedata.normalize("NFKC", name))


def described(name: str) -> str:
    """The name, and what its characters are called that aren't ASCII."""
    strange = [f"U+{ord(c):04X} {unicodedata.name(c, '?')}" for c in name[:32] if ord(c) > 127]
    return f"'{name[:64]}'" + (f" ({', '.join(strange[:3])})" if strange else "")
