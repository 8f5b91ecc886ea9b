"""What to write instead: for syntax, names and glyphs that aren't read."""

from __future__ import annotations

import ast
import difflib
import re
import unicodedata
from collections.abc import Container, Iterable

import numpy as np

from service.engine.numpy_compat import CATALOGUED, CONSTANTS, MODULES, SPELLED, of_numpy

_GLYPHS = {
    "×": "write * for a product",
    "·": "write * for a product, @ for a product of matrices",
    "∙": "write * for a product, @ for a product of matrices",
    "⋅": "write * for a product, @ for a product of matrices",
    "∗": "write * for a product",
    "÷": "write /",
    "∕": "write /",
    "−": "write the minus sign of the keyboard: -",
    "–": "write the minus sign of the keyboard: -",
    "—": "write the minus sign of the keyboard: -",
    "²": "write **2",
    "³": "write **3",
    "√": "write sqrt(x)",
    "∑": "write sum(x)",
    "Σ": "write sum(x)",
    "∏": "write prod(x)",
    "≤": "write <=",
    "≥": "write >=",
    "≠": "write !=",
    "∞": "write np.inf",
    "ᵀ": "write x.T",
    "ˣ": "write ** for a power",
    "ⁿ": "write ** for a power",
    "⁻": "write ** for a power",
    "¹": "write ** for a power",
    "½": "write 0.5",
    "“": "write a plain quotation mark",
    "”": "write a plain quotation mark",
    "‘": "write a plain quotation mark",
    "’": "write a plain quotation mark",
    "，": "write a plain comma",
    "（": "write a plain bracket",
    "）": "write a plain bracket",
    "\u00a0": "write plain blanks",
    "\u200b": "leave it out: nobody sees it",
    "∂": "leave it out: gradients are in the answer",
    "∇": "leave it out: gradients are in the answer",
    "→": "write y = x",
    "←": "write y = x",
    "‖": "write norm(x)",
    "∈": "write for x in xs: …",
    "⊙": "write * for a product element by element",
    "⊗": "write np.outer(a, b), or np.kron(a, b)",
    **{chr(0x2080 + digit): f"write _{digit}: x_{digit}" for digit in range(10)},
}
"""Characters that are no Python, and what is written in their place."""
NO_EXPRESSION = "write one: x * y"
NO_NUMBER = "numbers are real, and written without quotation marks"
_SLIPS = (
    (r"\bwhile\b", "write for i in range(n): with a number of rounds that is known"),
    (r"\b(def|lambda)\b|\w\([\w, ]*\)\s*=(?!=)", "write the function's body by itself: y = x ** 2"),
    (r"\bthen\b|\?|^\s*if\b.*\belse\b", "write a if condition else b, or where(condition, a, b)"),
    (r"\bif\b", "write a if condition else b, or where(condition, a, b)"),
    (r"\bfor\b", "a loop is written as Python has it: for i in range(4): …"),
    (r"&&", "write & between comparisons in brackets: (a > 0) & (b > 0)"),
    (r"^\s*\|", "write abs(x), or norm(x) for a vector"),
    (r"\|\|", "write | between comparisons in brackets: (a > 0) | (b > 0)"),
    (r"<>", "write !="),
    (r"->|:=|<-|=>", "write y = x"),
    (r"!(?!=)", "write ~x for a truth value, np.prod(np.arange(1, 5)) for a factorial"),
    (r"[+][+]|--$", "write x += 1"),
    (r"\w\s*\.\s*[*/^]", "write it without the dot: * and ** work element by element"),
    (r"[\w)\].]'", "a transpose is x.T"),
    (r"\\\s*\w", "the solution of A x = b is np.linalg.solve(A, b)"),
    (r"\d[ij]\b", "complex numbers aren't read"),
    (r"@\s*$|[-+*/=<>%]\s*$", "the line ends before its expression does"),
)
"""Slips of the pen, as other languages have them, and what is written here."""
_PRODUCT = re.compile(r"(?<![\w.])(?!0[xXoObB])(\d+(?:\.\d*)?)\s*([A-Za-z_(])")
_SIDE_BY_SIDE = re.compile(r"([A-Za-z_]\w*)\s+([A-Za-z_]\w*)")


def of_syntax(source: str, line: int, column: int, message: str) -> str:
    """What to write where Python's parser stopped."""
    lines = re.split(r"\r\n|\r|\n", source)
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    for character in text[max(column - 1, 0) :] + text:
        if character in _GLYPHS:
            name = unicodedata.name(character, "?").lower()
            return f"'{character}' ({name}): {_GLYPHS[character]}"
    for slip, hint in _SLIPS:
        if re.search(slip, text[:1000]):
            return hint
    if "never closed" in message or "unmatched" in message or "does not match" in message:
        return "every bracket is opened and closed"
    if found := _PRODUCT.search(text):
        return f"a product is written with a star: {found[1][:20]} * {found[2]}…"
    if (found := _SIDE_BY_SIDE.search(text)) and found[1] not in ("return", "import", "from"):
        first, second = found[1][:20], found[2][:20]
        if first in CATALOGUED or first in SPELLED:
            return f"what a function is of stands in brackets: {first}({second})"
        return f"a product is written with a star: {first} * {second}"
    return "write one expression, or assignments, one on a line: y = x * 2"


HINTS = {
    "ListComp": "write a loop: ys = []; for x in xs: ys.append(…)",
    "GeneratorExp": "write a loop: ys = []; for x in xs: ys.append(…)",
    "SetComp": "write a loop: ys = []; for x in xs: ys.append(…)",
    "DictComp": "give each value a name of its own",
    "Lambda": "write the function's body where it is used",
    "FunctionDef": "write the function's body by itself: its arguments are inputs, its result is "
    "the last line",
    "ClassDef": "write the body of its method by itself",
    "While": "write for i in range(n): with a number of rounds that is known",
    "If": "write where(condition, a, b), or a if condition else b",
    "Return": "leave 'return' out: the last expression is the output",
    "Dict": "give each value a name of its own",
    "ImportFrom": "leave it out: every operator is known by its name",
    "Import": "leave it out: every operator is known by its name",
    "Global": "leave it out",
    "Nonlocal": "leave it out",
    "Yield": "write the expression by itself",
    "Await": "leave it out",
    "Constant": "write a number",
    "JoinedStr": "leave the quotation marks out",
    "NamedExpr": "assign it on a line of its own",
    "Assert": "leave it out",
    "Delete": "leave it out",
    "With": "write its body by itself",
    "Try": "write its body by itself",
    "Set": "write a list: [a, b]",
    "Starred": "write the parts one by one",
}
"""What to write in place of syntax that isn't read."""

_WORDS = {
    "Constant": "a constant that is no number",
    "Global": "a declaration",
    "Nonlocal": "a declaration",
    "Yield": "a yield",
    "ListComp": "a comprehension",
    "GeneratorExp": "a comprehension",
    "SetComp": "a comprehension",
    "DictComp": "a comprehension",
    "Lambda": "a lambda",
    "FunctionDef": "a function",
    "ClassDef": "a class",
    "While": "a while loop",
    "For": "a loop",
    "Import": "an import",
    "ImportFrom": "an import",
    "If": "an if statement",
    "Return": "a return",
    "List": "a list",
    "Tuple": "a tuple",
    "Dict": "a list of names and values",
    "Set": "a set",
    "JoinedStr": "a string",
    "NamedExpr": "an assignment inside an expression",
    "Await": "an await",
    "Assert": "an assertion",
    "Delete": "a deletion",
    "With": "a with block",
    "Try": "a try block",
    "Starred": "a star",
}


def word(at: ast.AST) -> str:
    """What a piece of syntax is called."""
    return word_of(type(at).__name__)


def word_of(kind: str) -> str:
    """What a kind of syntax is called, by the name of its class in Python's `ast`."""
    return _WORDS.get(kind, kind)


_FUNCTIONS = {
    "detach": "leave it out",
    "numpy": "leave it out",
    "cpu": "leave it out",
    "cuda": "leave it out",
    "to": "leave it out",
    "contiguous": "leave it out",
    "requires_grad_": "leave it out: all inputs have gradients",
    "backward": "leave it out: gradients are in the answer",
    "view": "write x.reshape(2, 3)",
    "permute": "write x.transpose(1, 0)",
    "t": "write x.T",
    "dim": "write x.ndim",
    "tolist": "leave it out",
    "cot": "write 1 / tan(x)",
    "sec": "write 1 / cos(x)",
    "csc": "write 1 / sin(x)",
    "factorial": "write np.prod(np.arange(1, 5))",
    "squareroot": "write sqrt(x)",
    "root": "write sqrt(x), or x ** (1 / 3)",
    "sq": "write x ** 2",
    "percentile": "it isn't read: mean, min and max are",
    "quantile": "it isn't read: mean, min and max are",
    "unique": "its shape depends on values: it isn't read",
    "nonzero": "write where(x != 0, a, b): places aren't listed",
    "argwhere": "write where(x != 0, a, b): places aren't listed",
    "flatnonzero": "write where(x != 0, a, b): places aren't listed",
    "allclose": "write max(abs(a - b)) < 1e-8",
    "isclose": "write abs(a - b) < 1e-8",
    "array_equal": "write np.all(a == b)",
    "eig": "of a symmetric matrix: w, v = np.linalg.eigh(A)",
    "vectorize": "write the expression itself: it works element by element",
    "eval": "write the expression itself",
    "exec": "write the expression itself",
    "load": "give the numbers as an input",
    "print": "leave it out: every value is in the answer",
    "input": "a name that is never assigned is an input",
    "sorted": "it isn't read: max, min and argmax are",
    "map": "write a loop: ys = []; for x in xs: ys.append(…)",
    "filter": "write where(condition, a, b)",
    "isinstance": "leave it out",
    "type": "leave it out",
    "divmod": "write a // b and a % b",
    "open": "give the numbers as an input",
    "str": "leave it out",
    "set": "write a list: [a, b]",
    "dict": "give each value a name of its own",
    "ln": "write log(x)",
    "log_e": "write log(x)",
    "lg": "write log10(x)",
    "tg": "write tan(x)",
    "arctg": "write atan(x)",
    "sgn": "write sign(x)",
    "sqr": "write x ** 2",
    "avg": "write mean(x)",
    "magnitude": "write norm(x)",
    "cat": "write concat([a, b], axis=0)",
    "mm": "write a @ b",
    "bmm": "write a @ b",
    "logistic": "write sigmoid(x)",
    "expit": "write sigmoid(x)",
    "median": "it isn't read: mean is",
    "ReLU": "write relu(x)",
    "Sigmoid": "write sigmoid(x)",
    "Softmax": "write softmax(x)",
    "crossentropy": "write cross_entropy(logits, labels)",
}
"""Functions that aren't read, and what is written instead."""


_ATTRIBUTES = {
    "grad": "leave it out: gradients are in the answer",
    "requires_grad": "leave it out: all inputs have gradients",
    "data": "leave it out",
    "device": "leave it out",
    "I": "write np.linalg.inv(A)",
    "H": "write x.T",
    "real": "leave it out: numbers are real",
    "imag": "numbers are real",
    "flat": "write x.ravel()",
    "values": "leave it out",
}


def of_attribute(name: str) -> str:
    """What to write for an attribute that arrays don't have here."""
    return _ATTRIBUTES.get(name, "only .T, .shape, .size, .ndim and methods are")


def of_constant(name: str) -> str:
    """What to write for a constant that a module doesn't have."""
    if name.lower() in CONSTANTS:
        return f"write np.{name.lower()}"
    return "pi, e, inf or nan; a function is called"


def of_function(name: str, others: Iterable[str]) -> str | None:
    """What to write for a function that isn't read; `others` are more names that can be called."""
    short = name.rpartition(".")[2]
    if (known := _FUNCTIONS.get(name) or _FUNCTIONS.get(short)) is not None:
        return known
    near = suggestion(short, others)
    return f"did you mean '{near}'?" if near else None


def suggestion(name: str, others: Iterable[str] = ()) -> str | None:
    """The name that can be called and of which `name` is a misspelling; None if none is near."""
    known = [*CATALOGUED, *(n for n in (*SPELLED, *others) if "." not in n)]
    cut = name.lower()[:64]
    near = difflib.get_close_matches(cut, dict.fromkeys(known), 3, 0.8 if len(cut) < 5 else 0.75)
    return next((one for one in near if one[0] == cut[0] and len(one) > 2), None)


KEYWORDS = {
    "dim": "axis",
    "keepdim": "keepdims",
    "dims": "axis",
    "axes": "axis",
    "unbiased": "correction",
    "negative_slope": "alpha",
    "eps": "epsilon",
}
"""Keywords of other libraries, and what is written here."""


_LIBRARIES = {
    "torch": "PyTorch",
    "nn": "PyTorch",
    "F": "PyTorch",
    "jnp": "JAX",
    "jax": "JAX",
    "lax": "JAX",
    "tf": "TensorFlow",
    "keras": "Keras",
    "K": "Keras",
    "scipy": "SciPy",
    "special": "SciPy",
    "stats": "SciPy",
    "sp": "SciPy",
    "cp": "CuPy",
    "sympy": "SymPy",
    "anp": "autograd",
    "random": "Python",
    "cmath": "Python",
    "statistics": "Python",
    "Math": "JavaScript",
    "pd": "pandas",
    "agnp": "autograd",
    "pt": "PyTensor",
    "mx": "MLX",
}
"""Names that stand for modules of other libraries, unless something was assigned to them."""

_ELSEWHERE = {
    "add_": "add",
    "concatenate": "concat",
    "cat": "concat",
    "reduce_sum": "sum",
    "reduce_mean": "mean",
    "multiply": "multiply",
    "mm": "matmul",
    "bmm": "matmul",
    "mul": "multiply",
    "expit": "sigmoid",
    "nll_loss": "nll",
    "mse_loss": "mse",
    "l1_loss": "l1",
    "smooth_l1_loss": "huber",
    "conv2d": "conv",
    "max_pool2d": "max_pool",
    "avg_pool2d": "average_pool",
    "logsigmoid": "log_sigmoid",
    "ln": "log",
    "arange": "np.arange",
    "zeros": "np.zeros",
    "ones": "np.ones",
    "eye": "np.eye",
    "linspace": "np.linspace",
    "pdf": "",
    "tensor": "np.array",
    "array": "np.array",
}


def foreign(at: ast.expr, assigned: Container[str]) -> tuple[str, str] | None:
    """For a dotted name of another library: it, and what to write instead; else None."""
    parts: list[str] = []
    while isinstance(at, ast.Attribute) and len(parts) < 6:
        parts.append(at.attr)
        at = at.value
    if not parts or not isinstance(at, ast.Name) or at.id in assigned:
        return None
    if at.id in MODULES and parts[-1] == "random":
        return (
            f"{at.id}.{'.'.join(parts[::-1])}"[:64],
            "an answer depends on its request alone: give the numbers as an input",
        )
    library = _LIBRARIES.get(at.id)
    if library is None or (len(at.id) == 1 and hasattr(np.ndarray, parts[0])):  # K.T of a matrix K
        return None
    name = parts[0][:64]
    spelled = f"{at.id}.{'.'.join(parts[::-1])}"[:64]
    ours = _ELSEWHERE.get(name, name)
    if ours in CATALOGUED or ours in SPELLED:
        own = f"write {ours}(…)" + (f" or np.{ours}(…)" if of_numpy(ours) is not None else "")
        return spelled, own
    if ours.startswith("np."):
        return spelled, f"write {ours}(…)"
    return spelled, f"{library}'s names aren't read: NumPy's are, and those of GET /v1/operators"


STRANGERS = {
    "pi": "write np.pi",
    "π": "write np.pi",
    "e": "write np.e, or exp(x) for a power of it",
    "tau": "write np.tau",
    "inf": "write np.inf",
    "nan": "write np.nan",
    "eps": "assign it: eps = 1e-8",
    **{
        name: f"{library}'s names aren't read: NumPy's are"
        for name, library in _LIBRARIES.items()
        if name not in ("F", "K", "nn", "sp", "cp", "random")
    },
}
"""Names that are an input nowhere else, and what to write for what they mean there."""
