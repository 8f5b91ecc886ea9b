"""How NumPy's users write what the catalogue has under another name or in another order."""

from __future__ import annotations

import math

MODULES = frozenset({"math", "np", "numpy"})
"""Names that may stand in front of a function."""
SUBMODULES = frozenset({"linalg"})

CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan}

ARRAYS = frozenset({"array", "asarray"})
"""Functions of NumPy that only say that their argument is an array."""

NAMES = {
    "norm": "vector_norm",
    "fabs": "abs",
    "fmax": "maximum",
    "fmin": "minimum",
    "rint": "round",
    "around": "round",
    "true_divide": "divide",
    "float_power": "pow",
    "ravel": "reshape",
    "flatten": "reshape",
}
"""Functions and methods of NumPy that have another name in the catalogue."""

KEYWORDS = {"a_min": "min", "a_max": "max", "ddof": "correction", "newshape": "shape"}
"""Keywords of NumPy that have another name in the catalogue."""

_REDUCTION = ("axis", "keepdims")
POSITIONAL: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp"), _REDUCTION),
    **dict.fromkeys(("argmax", "argmin"), _REDUCTION),
    **dict.fromkeys(("cumulative_sum", "cumulative_prod", "softmax", "log_softmax"), ("axis",)),
    **dict.fromkeys(("expand_dims", "squeeze", "flip", "take", "take_along_axis"), ("axis",)),
    **dict.fromkeys(("reshape", "broadcast_to"), ("shape",)),
    **dict.fromkeys(("trace", "diagonal"), ("offset",)),
    **dict.fromkeys(("tril", "triu"), ("k",)),
    "permute_dims": ("axes",),
    "clip": ("min", "max"),
    "einsum": ("equation",),
    "roll": ("shift", "axis"),
    "repeat": ("repeats", "axis"),
    "tile": ("repeats",),
    "moveaxis": ("source", "destination"),
    "split": ("sections", "axis"),
    "tensordot": ("axes",),
    "vector_norm": ("ord", "axis", "keepdims"),
    "unstack": ("axis",),
}
"""Attributes that may be written without their names, in order, behind the inputs."""

FLATTENED = frozenset({"cumulative_sum", "cumulative_prod", "repeat", "take"})
"""Operators that NumPy's functions and methods apply to all elements in a row where no axis
is given. Under their own names they go along the catalogue's axis."""

SPREAD = frozenset({"reshape", "broadcast_to", "permute_dims", "tile"})
"""Operators whose list of integers may be written without its brackets."""
