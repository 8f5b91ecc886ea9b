"""Inputs that are drawn rather than written out.

`{"dist": "normal", "shape": [4, 3], "seed": 231}` means exactly
`numpy.random.default_rng(231).normal(0.0, 1.0, (4, 3))`, the PCG64 generator, so that a
student draws the same numbers. With `"generator": "mt19937"` it is
`numpy.random.RandomState(231)`, which is what `np.random.seed(231)` sets up. Without a seed
the generator is `default_rng([task seed, crc32 of the input's name in UTF-8])`.

    normal      loc, scale
    uniform     low, high
    integers    low, high (not reached)
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

DISTRIBUTIONS = ("normal", "uniform", "integers")
_MEMBERS = {"dist", "shape", "seed", "generator", "loc", "scale", "low", "high"}


class BadDraw(ValueError):
    """A drawn input is written wrong; the text says how."""


def is_drawn(value: object) -> bool:
    """Whether an input asks to be drawn."""
    return isinstance(value, Mapping) and "dist" in value


def draw(name: str, wanted: Mapping[str, Any], task_seed: int, most: int = 10_000_000) -> Any:
    """The tensor that `wanted` describes, of at most `most` elements. Raises BadDraw."""
    for member in wanted:
        if member not in _MEMBERS:
            raise BadDraw(f"a drawn input has no member '{str(member)[:40]}'")
    dist = wanted["dist"]
    if dist not in DISTRIBUTIONS:
        raise BadDraw(f"dist must be one of {', '.join(DISTRIBUTIONS)}")
    shape = wanted.get("shape", [])
    if not isinstance(shape, list | tuple) or not all(map(_is_size, shape)) or len(shape) > 32:
        raise BadDraw("shape must be a list of sizes")
    if math.prod(filter(None, shape)) > most:
        raise BadDraw(f"a drawn input has at most {most} elements")
    rng = _generator(name, wanted, task_seed)
    size = tuple(shape)
    if dist == "normal":
        scale = _number(wanted, "scale", 1.0)
        if scale < 0:
            raise BadDraw("scale must not be negative")
        return rng.normal(_number(wanted, "loc", 0.0), scale, size)
    low, high = _number(wanted, "low", 0.0), _number(wanted, "high", 1.0 + (dist == "integers"))
    if not low < high:
        raise BadDraw("low must be below high")
    if dist == "uniform":
        return rng.uniform(low, high, size)
    if not (low.is_integer() and high.is_integer() and abs(low) < 2**53 and abs(high) < 2**53):
        raise BadDraw("low and high must be integers")
    if isinstance(rng, np.random.RandomState):
        return rng.randint(int(low), int(high), size, dtype=np.int64)
    return rng.integers(int(low), int(high), size)


def _generator(name: str, wanted: Mapping[str, Any], task_seed: int) -> Any:
    seed: Any = wanted.get("seed")
    if seed is None:
        seed = [task_seed, zlib.crc32(name.encode("utf-8", "replace"))]
    elif not _is_size(seed) or seed >= 2**63:
        raise BadDraw("seed must be an integer from 0 to 2**63 - 1")
    match wanted.get("generator", "pcg64"):
        case "pcg64":
            return np.random.default_rng(seed)
        case "mt19937":
            if isinstance(seed, int) and seed >= 2**32:
                raise BadDraw("for mt19937 the seed must be below 2**32")
            if isinstance(seed, list):
                seed = [part % 2**32 for part in seed]
            return np.random.RandomState(seed)
    raise BadDraw("generator must be pcg64 or mt19937")


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(wanted: Mapping[str, Any], name: str, default: float) -> float:
    value = wanted.get(name, default)
    try:
        number = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadDraw(f"{name} must be a finite number")
    return number
