"""The operator catalogue: one file per family, registered on import."""

from service.engine.operators import (
    activations,
    arithmetic,
    binary,
    contraction,
    finiteness,
    indexing,
    joining,
    leaves,
    linalg,
    losses,
    neural,
    reductions,
    selection,
    shape,
    special,
    unary,
)
from service.engine.registry import REGISTRY

__all__ = [
    "REGISTRY",
    "activations",
    "arithmetic",
    "binary",
    "contraction",
    "finiteness",
    "indexing",
    "joining",
    "leaves",
    "linalg",
    "losses",
    "neural",
    "reductions",
    "selection",
    "shape",
    "special",
    "unary",
]
