"""Calls of NumPy's functions as people may write them, made from NumPy's own signatures."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.engine.expression import arrays, special
from service.engine.numpy_compat import SPELLED, of_numpy

SHAPES: list[tuple[int, ...]] = [(), (1,), (3,), (2, 3), (3, 3), (1, 3), (2, 2, 3), (2, 1, 3, 3)]
"""From none to four dimensions."""


@dataclass(slots=True)
class Call:
    """One line of text, and the arrays that its names stand for."""

    text: str
    inputs: dict[str, Any] = field(default_factory=dict)

    def asked(self) -> Any:
        """What NumPy says."""
        names = {name: getattr(np, name) for name in ("newaxis",)}
        bare = {n: of_numpy(n) for n in (*SPELLED, *special.NUMPY, *arrays.NUMPY) if "." not in n}
        with np.errstate(all="ignore"):
            return eval(self.text, {"np": np, "linalg": np.linalg, **bare, **names}, self.inputs)


class Generator:
    """Draws calls; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)

    def array(self, kind: str = "any") -> Any:
        """An array: `square` for the last two axes, `definite`, `flags` of truth values."""
        if kind in ("square", "definite", "matrix"):
            batch = self.random.choice([(), (), (2,), (2, 1)])
            size = self.random.choice([1, 2, 3])
            other = self.random.choice([2, 3, 4]) if kind == "matrix" else size
            made = self.numbers.uniform(-2, 2, (*batch, size, other))
            return made @ np.swapaxes(made, -1, -2) + np.eye(size) if kind == "definite" else made
        shape = self.random.choice(SHAPES)
        if kind == "flags":
            return self.numbers.random(shape) > 0.5
        made = self.numbers.uniform(0.1, 2.0, shape) * self.numbers.choice([1.0, 1.0, -1.0], shape)
        if self.random.random() < 0.15:
            made = np.where(self.numbers.random(shape) < 0.3, np.nan, made)
        if self.random.random() < 0.2:
            made = np.round(made)
        return made if made.ndim else float(made)

    def like(self, other: Any) -> Any:
        """An array that may broadcast against another one."""
        shape = np.shape(other)
        drawn = self.random.random()
        if drawn < 0.2:
            return self.array()
        cut = shape[self.random.randrange(len(shape) + 1) :]
        kept = tuple(1 if self.random.random() < 0.2 else size for size in cut)
        made = self.numbers.uniform(-2, 2, kept if drawn < 0.8 else shape)
        return made if made.ndim else float(made)

    def axis(self) -> str:
        return self.random.choice(["0", "0", "1", "-1", "-2", "2"])

    def shape(self, size: int) -> str:
        return self.random.choice(
            ["-1", "(-1,)", f"({size},)", f"(1, {size})", "(-1, 1)", "[3, -1]", "(2, 3)"]
        )


def _literal(*choices: str) -> Callable[[Generator, dict[str, Any]], str]:
    return lambda g, inputs: g.random.choice(choices)


AXES = ("0", "1", "-1", "None", "(0, 1)", "(0, -1)", "(0,)", "2")
PARAMETERS: dict[str, Callable[[Generator, dict[str, Any]], str]] = {
    "axis": _literal(*AXES),
    "axes": _literal("None", "(1, 0)", "(0, 2, 1)", "[1, 2, 0]", "(0,)", "(-1, 0)", "(3, 0, 1, 2)"),
    "keepdims": _literal("True", "False"),
    "ddof": _literal("0", "1"),
    "correction": _literal("0", "1"),
    "k": _literal("0", "1", "-1", "2"),
    "offset": _literal("0", "1", "-1", "2"),
    "decimals": _literal("0", "1", "2", "-1"),
    "order": _literal("'C'", "'F'"),
    "shift": _literal("0", "1", "-2", "7", "(1, 2)"),
    "source": _literal("0", "-1", "1", "(0, 1)"),
    "destination": _literal("-1", "0", "1", "(1, 0)", "(-1, 0)"),
    "axis1": _literal("0", "1", "-1"),
    "axis2": _literal("1", "0", "-2"),
    "repeats": _literal("2", "3", "1", "[1, 2, 0]", "[2]"),
    "reps": _literal("2", "(2, 1)", "(1, 2, 3)", "[3]"),
    "pad_width": _literal("1", "((1, 2),)", "((1, 0), (0, 2))", "(1, 2)", "2"),
    "mode": _literal("'constant'", "'edge'", "'reflect'", "'wrap'", "'symmetric'"),
    "constant_values": _literal("0", "1.5"),
    "indices_or_sections": _literal("3", "1", "[1]", "[1, 2]", "2"),
    "ord": _literal("None", "1", "2", "np.inf", "-np.inf", "'fro'", "'nuc'", "0", "3", "-2", "-1"),
    "full_matrices": _literal("False", "True"),
    "compute_uv": _literal("True", "False"),
    "UPLO": _literal("'L'", "'U'"),
    "upper": _literal("False", "True"),
    "n": _literal("1", "2", "0", "3"),
    "N": _literal("2", "3"),
    "M": _literal("None", "3", "1"),
    "dtype": _literal("float", "np.float64", "bool", "int", "np.float32"),
    "start": _literal("0", "1.5", "-2"),
    "stop": _literal("4", "3.5", "7"),
    "step": _literal("1", "0.5", "2"),
    "num": _literal("3", "5", "1"),
    "endpoint": _literal("True", "False"),
    "fill_value": _literal("2", "1.5", "np.pi", "True"),
    "a_min": _literal("-0.5", "None", "0"),
    "a_max": _literal("0.5", "None", "1"),
    "min": _literal("-0.5", "None"),
    "max": _literal("0.5", "1"),
    "initial": _literal("0", "2.5"),
    "ndmin": _literal("0", "2"),
    "left": _literal("0.0"),
    "include_initial": _literal("True", "False"),
    "rowvar": _literal("True", "False"),
    "base": _literal("2"),
    "rcond": _literal("None"),
    "nan": _literal("0.0", "1.5"),
    "posinf": _literal("None", "9.0"),
    "neginf": _literal("None", "-9.0"),
    "kind": _literal("None"),
    "stable": _literal("None"),
    "descending": _literal("False"),
}
"""What may be given for a parameter that is no array."""
ARRAYS = frozenset(
    [
        "a",
        "x",
        "x1",
        "x2",
        "b",
        "m",
        "A",
        "array",
        "arr",
        "ary",
        "arrays",
        "tup",
        "xs",
        "v",
        "condition",
        "y",
        "p",
        "z",
        "object",
        "values",
        "weights",
        "mean",
        "where",
    ]
)
LISTS = frozenset(("arrays", "tup", "xs"))
NEVER = frozenset(
    [
        "out",
        "subok",
        "copy",
        "casting",
        "like",
        "device",
        "hermitian",
        "optimize",
        "dtype2",
        "mean",
        "where",
        "prepend",
        "append",
        "sig",
        "signature",
        "extobj",
        "equal_nan",
        "returned",
        "sorter",
        "side",
        "method",
        "interpolation",
        "mode2",
        "c",
        "axisa",
        "axisb",
        "axisc",
    ]
)
"""Parameters of the machine, or refused by all: not drawn."""
UNWRITTEN = {
    "concatenate": "arrays axis",
    "concat": "arrays axis",
    "dot": "a b",
    "vdot": "a b",
    "inner": "a b",
    "where": "condition x y",
    "arange": "start stop step dtype",
    "array": "object dtype ndmin",
    "asarray": "object dtype",
    "zeros": "shape dtype",
    "empty": "",
    "empty_like": "",
    "einsum": "",
}
"""Parameters of functions that don't tell theirs."""
SQUARE = frozenset(["linalg.inv", "linalg.det", "linalg.slogdet", "linalg.matrix_power"])
MATRICES = frozenset(
    ["linalg.svd", "linalg.qr", "linalg.pinv", "linalg.matrix_norm", "linalg.svdvals"]
)
DEFINITE = frozenset(["linalg.cholesky", "linalg.eigh", "linalg.eigvalsh"])
SEVERAL = frozenset(
    [
        "linalg.svd",
        "linalg.qr",
        "linalg.eigh",
        "linalg.slogdet",
        "divmod",
        "modf",
        "split",
        "array_split",
        "hsplit",
        "vsplit",
        "dsplit",
        "unstack",
    ]
)
DTYPED = frozenset(
    [
        "zeros",
        "ones",
        "full",
        "eye",
        "identity",
        "arange",
        "zeros_like",
        "ones_like",
        "full_like",
        "array",
        "asarray",
        "astype",
        "sum",
        "prod",
        "cumsum",
        "cumprod",
        "mean",
    ]
)


def parameters(name: str) -> list[tuple[str, bool, bool]]:
    """The parameters of a NumPy function: name, whether it is required, whether by name only."""
    function = of_numpy(name)
    if name in UNWRITTEN:
        names = UNWRITTEN[name].split()
        least = {"where": 3, "dot": 2, "vdot": 2, "inner": 2}.get(name, 1)
        return [(one, place < least, False) for place, one in enumerate(names)]
    if isinstance(function, np.ufunc):
        if function.nin == 1:
            return [("x", True, False)]
        return [(f"x{place + 1}", True, False) for place in range(function.nin)]
    listed = []
    for one in inspect.signature(function).parameters.values():
        if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL):
            if name.startswith("atleast") or one.name == "arys":
                listed.append(("a", True, False))
            continue
        required = one.default is one.empty
        listed.append((one.name, required, one.kind is one.KEYWORD_ONLY))
    return listed


def names() -> list[str]:
    """NumPy's functions that are read, without `np.`; types are called too, but not drawn here."""
    known = dict.fromkeys((*SPELLED, *special.NUMPY, *arrays.NUMPY))
    return sorted(name for name in known if of_numpy(name) is not None)


def calls(name: str, count: int, seed: int) -> Iterator[Call]:
    """`count` calls of one function: as a function with and without `np.`, and as a method."""
    draw = Generator(seed)
    listed = parameters(name)
    for _ in range(count):
        call = _drawn(name, listed, draw)
        if call is not None:
            yield call


def _drawn(name: str, listed: list[tuple[str, bool, bool]], draw: Generator) -> Call | None:
    inputs: dict[str, Any] = {}
    written: list[tuple[str, str, bool]] = []
    skipped = False
    for parameter, required, named in listed:
        if parameter in NEVER or (parameter == "dtype" and name not in DTYPED):
            skipped = True
            continue
        if not required and draw.random.random() < 0.55:
            skipped = True
            continue
        text = _argument(name, parameter, inputs, draw)
        if text is None:
            if required:
                return None
            skipped = True
            continue
        positional = not named and not skipped
        if positional and not required and draw.random.random() < 0.5:
            positional, skipped = False, True
        written.append((parameter, text, positional))
    arguments = [text if positional else f"{k}={text}" for k, text, positional in written]
    form = draw.random.random()
    first = written[0][1] if written and written[0][2] else ""
    method = form < 0.3 and "." not in name and hasattr(np.ndarray, name) and first in inputs
    if method and isinstance(inputs[first], np.ndarray):
        text = f"{first}.{name}({', '.join(arguments[1:])})"
    elif form < 0.55 and "." not in name and name not in special.BARE and name not in arrays.BARE:
        text = f"{name}({', '.join(arguments)})"
    else:
        text = f"np.{name}({', '.join(arguments)})"
    if name in SEVERAL and draw.random.random() < 0.85:
        text += f"[{draw.random.choice([0, 1])}]"
    return Call(text, inputs)


def _argument(name: str, parameter: str, inputs: dict[str, Any], draw: Generator) -> str | None:
    if parameter == "shape":
        if name == "reshape":
            return draw.shape(int(np.size(inputs.get("A", 1.0))))
        if name == "broadcast_to":
            own = np.shape(inputs.get("A", 1.0))
            return str(
                draw.random.choice([own, (2, *own), (3,), tuple(3 if s == 1 else s for s in own)])
            )
        return draw.random.choice(["3", "(2, 3)", "[2]", "()", "(2, 1, 2)"])
    if parameter in LISTS:
        return _list(name, inputs, draw)
    if parameter == "indices":
        if name == "take_along_axis":
            inputs["I"] = np.argsort(np.asarray(inputs["A"]), axis=-1)
            return "I"
        return draw.random.choice(["0", "[0, 0]", "[[0], [-1]]", "[1, 0]", "-1"])
    if name == "tensordot" and parameter == "axes":
        return draw.random.choice(["0", "1", "2", "([0], [0])", "([1, 0], [0, 1])", "(-1, 0)"])
    if parameter == "ord" and name == "linalg.matrix_norm":
        return draw.random.choice(["'fro'", "'nuc'", "1", "2", "np.inf", "-1", "-2"])
    if parameter in PARAMETERS and parameter not in ("x", "a"):
        return PARAMETERS[parameter](draw, inputs)
    if parameter not in ARRAYS:
        return None
    label = "ABCD"[len(inputs)]
    kind = (
        "square"
        if name in SQUARE
        else "definite"
        if name in DEFINITE
        else "matrix"
        if name in MATRICES
        else "flags"
        if parameter == "condition" or (name.startswith("logical") and draw.random.random() < 0.7)
        else "any"
    )
    if name in ("linalg.solve",):
        kind = "square"
    if inputs and kind == "any":
        inputs[label] = draw.like(inputs["A"])
    else:
        inputs[label] = draw.array(kind)
    if name in ("matmul", "linalg.matmul") and label == "B" and draw.random.random() < 0.7:
        inputs[label] = np.swapaxes(draw.array("matrix"), -1, -2)
        width = np.shape(inputs["A"])[-1:] or (3,)
        inputs[label] = draw.numbers.uniform(-2, 2, (*draw.random.choice([(), (2,)]), *width, 2))
    if name == "dot" and label == "B" and draw.random.random() < 0.7:
        width = np.shape(inputs["A"])[-1:] or (3,)
        inputs[label] = draw.numbers.uniform(
            -2, 2, draw.random.choice([width, (*width, 2), (2, *width, 2)])
        )
    if kind == "any" and draw.random.random() < 0.08 and np.ndim(inputs[label]) == 0:
        del inputs[label]
        return draw.random.choice(["2.5", "3", "True"])
    return label


def _list(name: str, inputs: dict[str, Any], draw: Generator) -> str:
    first = draw.array()
    inputs["A"] = first
    shape = list(np.shape(first))
    if shape and draw.random.random() < 0.4 and name != "stack":
        place = draw.random.randrange(len(shape))
        shape[place] += 1
    inputs["B"] = draw.numbers.uniform(-2, 2, shape) if shape else 0.25
    return draw.random.choice(["(A, B)", "[A, B]", "[A, B, A]", "[A]"])


BINARY = ["+", "-", "*", "/", "**", "@", "%", "//", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^"]


def operations(count: int, seed: int) -> Iterator[Call]:
    """Operators between arrays, numbers and truth values."""
    draw = Generator(seed)
    for _ in range(count):
        inputs: dict[str, Any] = {}
        sides = []
        flags = draw.random.random() < 0.4
        for label in "AB":
            drawn = draw.random.random()
            if drawn < 0.15 and (not sides or sides[0] in inputs):
                sides.append(draw.random.choice(["2", "0.5", "True", "-1", "3"]))
                continue
            if flags and draw.random.random() < 0.85:
                inputs[label] = draw.array("flags")
            else:
                inputs[label] = draw.like(inputs["A"]) if "A" in inputs else draw.array()
            shown = draw.random.random()
            unary = "~" if np.asarray(inputs[label]).dtype == bool else "-"
            sides.append(f"({unary}{label})" if shown < 0.1 else label)
        yield Call(f"{sides[0]} {draw.random.choice(BINARY)} {sides[1]}", inputs)


def subscripts(count: int, seed: int) -> Iterator[Call]:
    """Parts of arrays by integers, slices, None, `...`, lists and arrays of indices."""
    draw = Generator(seed)
    parts = [
        "0",
        "1",
        "-1",
        ":",
        "1:",
        ":-1",
        "::2",
        "::-1",
        "-2:",
        "None",
        "...",
        "[0,1]",
        "[1]",
        "[[0],[1]]",
        "[-1,0,1]",
        "I",
        "J",
        "np.newaxis",
        "range(2)",
        "np.arange(2)",
        "[True,False]",
        "np.array([0,0])",
    ]
    for _ in range(count):
        shape = draw.random.choice([(3,), (2, 3), (2, 3, 2), (2, 2, 3, 2)])
        inputs = {
            "A": draw.numbers.normal(size=shape),
            "I": np.array([0, 1]),
            "J": np.array([[1], [0]]),
        }
        index = [draw.random.choice(parts) for _ in range(draw.random.randint(1, len(shape) + 1))]
        text = f"A[{', '.join(index)}]"
        yield Call(text, {k: v for k, v in inputs.items() if k == "A" or k in index})


REFUSED = {
    r"the parameter '": ("a parameter of the next table", "leave it out: `x.sum() + initial`"),
    r"takes no '": ("rare parameters of `average`, `linspace`, `nansum`", "leave them out"),
    r"out of range for a tensor of": ("an axis of a scalar", "leave the axis out"),
    r"'axis' must be an integer": (
        "`axis=None` of `concatenate` and `take_along_axis`",
        "`np.append(a, b)`, or `ravel` first",
    ),
    r"in place": ("`x.sort()`, which gives nothing", "`np.sort(x)`"),
    r"by itself|Call cannot": ("several outputs used as one value", "unpack them, or `[0]`"),
    r"must be a literal": ("an order or an axis that depends on values", "a number"),
    r"full matrices": (
        "`np.linalg.svd` with full matrices of what isn't square",
        "`full_matrices=False`",
    ),
    r"mode": ("`np.pad` and `take` in a mode that isn't read", '`mode="constant"`'),
    r"an empty list": ("the shape of a scalar as the answer", "`x.ndim`"),
    r"is known while": ("`np.size` along several axes", "the product of `x.shape[i]`"),
    r"given twice": ("`ddof` and `correction` at once", "one of them"),
    r"two or more dimensions": ("`tril` and `triu` of a vector", "`np.tril(v * np.ones((3, 1)))`"),
    r"division by truth values": ("`//` and `%` by truth values", "`.astype(float)`"),
    r"BitXor|joins truth values": (
        "`&`, `\\|`, `^` of numbers",
        "compare first: `(a > 0) & (b > 0)`",
    ),
    r"a mask": ("a mask that selects", "`np.where(mask, x, 0)`"),
}
"""By the words of the refusal: what NumPy can do and is refused here, and what to write."""
MORE_THAN_NUMPY = {
    "append argmax argmin argsort concat concatenate cumprod cumsum repeat": "`axis=(0,)`",
    "stack take take_along_axis": "`axis=(0,)`",
    "array astype": "plain numbers",
    "clip": "one bound alone, and both names of a bound",
    "cumulative_prod cumulative_sum linalg.outer vecdot linalg.vecdot vsplit": "other dimensions",
    "std var transpose": "keywords that the method lacks",
    "operators": "a negative power of truth values",
}
"""What NumPy refuses and the catalogue's operators can do; anything else must be refused."""
