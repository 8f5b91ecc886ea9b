"""Source text as a syntax tree; and what is said of a text that has none."""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings

from service.engine.errors import Fault, GraphError

MAX_LENGTH = 50_000
"""Characters of source text: what Python's parser reads in half a tenth of a second."""
MAX_NESTING = 90
"""Brackets deeper than this are refused: Python's own parser allows about two hundred."""

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
}
"""Characters that are no Python, and what is written in their place."""
_PRODUCT = re.compile(r"(?<![\w.])(?!0[xXoObB])(\d+(?:\.\d*)?)\s*([A-Za-z_(])")


def tree(source: str) -> ast.Module:
    """The syntax tree; GraphError where there is none."""
    if len(source) > MAX_LENGTH:
        raise refused(
            f"source text of more than {MAX_LENGTH} characters",
            "a loop is unrolled: for i in range(4): …",
        )
    depth, deepest = 0, 0
    for bracket in re.findall(r"[()\[\]]", source):
        depth += 1 if bracket in "([" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING:
        raise refused(f"brackets nested deeper than {MAX_NESTING}", "name the inner parts")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(_outdented(source), mode="exec")
    except SyntaxError as error:
        line, column = error.lineno or 1, max(error.offset or 1, 1)
        detail = f"not Python's syntax: {error.msg[:200]}"
        hint = _hint(source, line, column)
        raise GraphError(
            [Fault("syntax", detail, pointer="/expression", line=line, column=column, hint=hint)]
        ) from None
    except (ValueError, MemoryError, RecursionError):
        raise refused(
            "source text that Python's parser refuses", "break long or deep expressions into stages"
        ) from None


def refused(what: str, hint: str | None = None) -> GraphError:
    """The refusal of a text as a whole."""
    return GraphError([Fault("syntax", what, pointer="/expression", line=1, column=1, hint=hint)])


def _outdented(source: str) -> str:
    """The text without the indentation that all its lines share, as a pasted function body has."""
    if not source[:1].isspace():
        return source
    lines = source.split("\n")
    margins = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
    margin = min(margins, default=0)
    return "\n".join(line[margin:] for line in lines) if margin else source


def _hint(source: str, line: int, column: int) -> str | None:
    """What to write instead, for the slips that are known."""
    lines = re.split(r"\r\n|\r|\n", source)
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    for character in text[max(column - 1, 0) :] + text:
        if character in _GLYPHS:
            name = unicodedata.name(character, "?").lower()
            return f"'{character}' ({name}): {_GLYPHS[character]}"
    if found := _PRODUCT.search(text):
        return f"a product is written with a star: {found[1][:20]} * {found[2]}…"
    if re.search(r"\bwhile\b|\bdef\b|\blambda\b", text):
        return HINTS["While"] if "while" in text else HINTS["FunctionDef"]
    if re.search(r"\bfor\b", text):
        return "a loop is written as Python has it: for i in range(4): …"
    return None


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
    "JoinedStr": None,
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
    name = type(at).__name__
    return _WORDS.get(name, name)
